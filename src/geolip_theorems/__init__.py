"""Tests of what a patch-SVD autoencoder keeps and loses in its encode, SVD, decode round trip."""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .model.architectures import PatchSVAE
    from .model.sources import load_model
    from .notebook import measure, read_records
    from .testing import claim, metric

__all__ = ["PatchSVAE", "claim", "load_model", "measure", "metric", "read_records"]
__version__ = "0.1.0"

# Loaded when asked for: models need torch, measures SciPy and scikit-learn, and neither is quick to import.
_PLACES = {
    "PatchSVAE": "model.architectures",
    "load_model": "model.sources",
    "measure": "notebook",
    "read_records": "notebook",
    "claim": "testing",
    "metric": "testing",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _PLACES:
        return getattr(import_module(f".{_PLACES[name]}", __name__), name)
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__]
    )


def __dir__() -> list[str]:
    return [*globals(), *__all__]  # what Python suggests from where a name is not known
