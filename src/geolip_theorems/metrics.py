"""Every metric by name, to make claims of: ``metrics.error < 1e-4``."""

from .questions.boundaries import contrast_correlation, gradient_correlation, gradient_given_brightness
from .questions.classes import class_cosine
from .questions.error import error
from .questions.modes import other_mode_share
from .questions.readout import (
    all_accuracy,
    all_over_eigenvalues,
    eigenvalues_accuracy,
    friction_accuracy,
    release_over_chance,
    release_over_friction,
    release_over_picture,
)
from .questions.spatial import corrected_cv, raw_cv

__all__ = [
    "all_accuracy",
    "all_over_eigenvalues",
    "class_cosine",
    "contrast_correlation",
    "corrected_cv",
    "eigenvalues_accuracy",
    "error",
    "friction_accuracy",
    "gradient_correlation",
    "gradient_given_brightness",
    "other_mode_share",
    "raw_cv",
    "release_over_chance",
    "release_over_friction",
    "release_over_picture",
]
