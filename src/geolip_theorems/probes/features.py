"""The features the probes read: groups of columns, as they are or in logarithms, on one scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..io.errors import InputError
from .signals import SIGNALS, Signal

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
    for signal, array in _features(maps):
        x = array.reshape(len(array), -1)
        if not np.isfinite(x).all():
            raise InputError(
                f"{signal.name} features hold values that are not finite; probes need finite numbers"
            )
        groups[signal.name] = {"raw": standardised(x)}
        if signal.logarithm is not None:
            groups[signal.name]["log"] = standardised(signal.logarithm(x))
    return groups


def feature_grids(maps: Any) -> dict[str, np.ndarray]:
    """The feature groups as images, (N, channels, gh, gw) float32, in logarithms where they have any."""
    grids = {}
    for signal, array in _features(maps):
        grid = array if signal.logarithm is None else signal.logarithm(array)
        grid = grid.reshape(*grid.shape[:3], -1)
        grids[signal.name] = np.ascontiguousarray(np.moveaxis(grid.astype(np.float32), -1, 1))
    return grids


def _features(maps: Any) -> Iterator[tuple[Signal, np.ndarray]]:
    """The signals the maps hold, (N, gh, gw, ...) float64."""
    found = ((signal, signal.of(maps)) for signal in SIGNALS.values())
    return ((signal, np.asarray(array, np.float64)) for signal, array in found if array is not None)


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns centred, scaled to unit variance and by the root of their number: (N, p) -> (N, q) float32."""
    std = x.std(0)
    varied = std > LEAST_STD * max(float(std.max(initial=0.0)), np.finfo(float).tiny)
    x = x[:, varied]
    if not x.shape[1]:
        return np.zeros((len(x), 1), np.float32)
    x -= x.mean(0)  # a copy, and as large as all features of it in float32: changed in place
    x /= std[varied] * np.sqrt(x.shape[1])
    return x.astype(np.float32)
