"""Tests of what a patch-SVD autoencoder keeps and loses in its encode, SVD, decode round trip."""

from .model import PatchSVAE, load_model

__all__ = ["PatchSVAE", "load_model", "measure"]
__version__ = "0.1.0"


def __getattr__(name: str):
    # `measure` needs SciPy and scikit-learn, which a reader of checkpoints should not wait for.
    if name == "measure":
        from .run.measure import measure

        return measure
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
