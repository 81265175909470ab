"""The features the probes read: groups of columns, as they are or in logarithms, on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..io.errors import InputError
from ..stats.grids import mode_energy, why_absent

SIGNALS = ("release", "eigenvalues", "friction")
MAP_OF = {"release": "error", "eigenvalues": "S", "friction": "friction"}
SIGNED = ("patch_means",)  # no logarithm
COUNTS = ("settle",)  # of iterations, 0 among them: log(1 + x)
LOG_FLOOR = 1e-6  # of the median positive value; keeps an exact zero finite
LEAST_STD = 1e-8  # of a column, relative to the largest of its group: below, it is constant

Group = dict[str, np.ndarray]


def feature_groups(maps: Any) -> dict[str, Group]:
    """Feature groups of the maps, each in the variants a probe may choose between.

    Returns:
        ``release``, ``eigenvalues``, ``friction``, ``settle``, ``mode_energy``, ``patch_means`` and
        ``input_variance``, those the maps hold; each ``{"raw": (N, p), "log": (N, p)}``, so that no group
        is ahead of another by its scale alone; ``patch_means``, colours of any sign, only as they are.
        Columns are divided by their standard deviation over all images and by the root of their number,
        so that an image's squared length is about 1 in every group. The scale uses no label, so it cannot
        make classes look different; columns that do not vary are left out.

    Raises:
        InputError: a value is not finite.
    """
    groups: dict[str, Group] = {}
    for name, array in feature_maps(maps).items():
        x = np.asarray(array, np.float64).reshape(len(array), -1)
        if not np.isfinite(x).all():
            raise InputError(f"{name} features hold values that are not finite; probes need finite numbers")
        groups[name] = {"raw": standardised(x)}
        if name not in SIGNED:
            groups[name]["log"] = standardised(in_logarithms(name, x))
    return groups


def feature_maps(maps: Any) -> dict[str, np.ndarray]:
    """The maps that the feature groups are made of, (N, gh, gw, ...) each, those there are."""
    found: dict[str, Any] = {
        "release": maps.error,
        "eigenvalues": maps.S,
        "friction": maps.friction,
        "settle": getattr(maps, "settle", None),
        "mode_energy": None if maps.S is None else mode_energy(np.asarray(maps.S, np.float32)),
        "patch_means": getattr(maps, "input_mean", None),
        "input_variance": getattr(maps, "input_var", None),
    }
    return {name: array for name, array in found.items() if array is not None}


def missing_signals(maps: Any) -> dict[str, str]:
    """Signal -> why the maps do not hold it."""
    reasons = {name: why_absent(maps, source) for name, source in MAP_OF.items()}
    return {name: f"no {name}: {why}" for name, why in reasons.items() if why}


def in_logarithms(name: str, x: np.ndarray) -> np.ndarray:
    """A feature group's values in logarithms: log(1 + x) of counts, else see :func:`logarithm`."""
    return np.log1p(x) if name in COUNTS else logarithm(x)


def logarithm(x: np.ndarray) -> np.ndarray:
    """log of x, values at or below a millionth of the median positive one taken as that."""
    positive = x[x > 0]
    floor = LOG_FLOOR * float(np.median(positive)) if positive.size else 1.0
    return np.log(np.maximum(x, floor))


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns centred, scaled to unit variance and by the root of their number: (N, p) -> (N, q) float32."""
    std = x.std(0)
    varied = std > LEAST_STD * max(float(std.max(initial=0.0)), np.finfo(float).tiny)
    x = x[:, varied]
    if not x.shape[1]:
        return np.zeros((len(x), 1), np.float32)
    return ((x - x.mean(0)) / (std[varied] * np.sqrt(x.shape[1]))).astype(np.float32)
