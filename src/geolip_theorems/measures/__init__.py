"""What the suite measures: pure functions of the extracted maps, NumPy arrays in, plain dicts out."""

from .calibrated import MEASURES_VERSION, calibrated
from .decisions import Attribution, Decision, attributed, attribution, decide
from .seed import seed_accuracies, seed_protocol

__all__ = [
    "MEASURES_VERSION",
    "Attribution",
    "Decision",
    "attributed",
    "attribution",
    "calibrated",
    "decide",
    "seed_accuracies",
    "seed_protocol",
]
