"""The subject's model: architectures, checkpoints and where they come from."""
