"""What the suite measures: pure functions of the extracted maps, NumPy arrays in, plain dicts out."""

from .attribution import Attribution, attribution
from .calibrated import MEASURES_VERSION, calibrated
from .decisions import Decision, decide
from .seed import seed_accuracies, seed_protocol

__all__ = [
    "MEASURES_VERSION",
    "Attribution",
    "Decision",
    "attribution",
    "calibrated",
    "decide",
    "seed_accuracies",
    "seed_protocol",
]
