"""The features the probes read: groups of columns, as they are or in logarithms, on one scale."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..io.errors import InputError
from .signals import SIGNALS

LEAST_STD = 1e-8  # of a column, relative to the largest of its group: below, it is constant

Group = dict[str, np.ndarray]


def feature_groups(maps: Any) -> dict[str, Group]:
    """Feature groups of the maps, each in the variants a probe may choose between.

    Returns:
        A group per signal the maps hold, ``{"raw": (N, p), "log": (N, p)}``, so that no group is ahead of
        another by its scale alone; what may be negative, such as colours, only as it is.
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
        if (logarithm := SIGNALS[name].logarithm) is not None:
            groups[name]["log"] = standardised(logarithm(x))
    return groups


def feature_maps(maps: Any) -> dict[str, np.ndarray]:
    """The maps that the feature groups are made of, (N, gh, gw, ...) each, those there are."""
    found = {name: signal.of(maps) for name, signal in SIGNALS.items()}
    return {name: array for name, array in found.items() if array is not None}


def feature_grids(maps: Any) -> dict[str, np.ndarray]:
    """The feature groups as images, (N, channels, gh, gw) float32, in logarithms where they have any."""
    grids = {}
    for name, array in feature_maps(maps).items():
        logarithm = SIGNALS[name].logarithm
        grid = array if logarithm is None else logarithm(np.asarray(array, np.float64))
        grid = grid[..., None] if grid.ndim == 3 else grid
        grids[name] = np.ascontiguousarray(np.moveaxis(np.asarray(grid, np.float32), -1, 1))
    return grids


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns centred, scaled to unit variance and by the root of their number: (N, p) -> (N, q) float32."""
    std = x.std(0)
    varied = std > LEAST_STD * max(float(std.max(initial=0.0)), np.finfo(float).tiny)
    x = x[:, varied]
    if not x.shape[1]:
        return np.zeros((len(x), 1), np.float32)
    return ((x - x.mean(0)) / (std[varied] * np.sqrt(x.shape[1]))).astype(np.float32)
