"""Tests of what a patch-SVD autoencoder keeps and loses in its encode, SVD, decode round trip."""

from .model import PatchSVAE

__all__ = ["PatchSVAE"]
__version__ = "0.1.0"
