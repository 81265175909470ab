"""The subject's model: architecture, checkpoints and where they come from."""

from .architectures import PatchSVAE, SVAEConfig
from .sources import LoadedModel, load_model, open_model

__all__ = ["LoadedModel", "PatchSVAE", "SVAEConfig", "load_model", "open_model"]
