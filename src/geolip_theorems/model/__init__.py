"""The subject's model: architecture, checkpoints and where they come from."""

from .config import SVAEConfig
from .patch_svae import PatchSVAE

__all__ = ["PatchSVAE", "SVAEConfig"]
