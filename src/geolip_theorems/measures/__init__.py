"""What the suite measures: pure functions of the extracted maps, NumPy arrays in, plain dicts out."""

from .seed import seed_accuracies, seed_protocol

__all__ = ["seed_accuracies", "seed_protocol"]
