"""The features the probes read: groups of columns, as they are or in logarithms, on one scale."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

import numpy as np

from ..io.errors import InputError
from .signals import SIGNALS, Signal

LEAST_STD = 1e-8  # of a column, relative to the largest of its group: below, it is constant
AT_ONCE = 64  # columns; their copies are then small beside the features

Group = dict[str, np.ndarray]


class FeatureGroups(Mapping[str, Group]):
    """Feature groups of maps, each made anew when it is asked for: all at once are larger than the maps.

    A group per signal the maps hold, ``{"raw": (N, p), "log": (N, p)}`` float32, variants that a probe may
    choose between, so that no group is ahead of another by its scale alone; what may be negative, such as
    colours, only as it is. Columns are divided by their standard deviation over all images and by the root of
    their number, so that an image's squared length is about 1 in every group. The scale uses no label, so it
    cannot make classes look different; columns that do not vary are left out.

    Args:
        maps: see :class:`geolip_theorems.extraction.maps.Maps`. names: of the signals.

    Raises:
        InputError: a value that is asked for is not finite.
    """

    def __init__(self, maps: Any, names: Container[str] = SIGNALS) -> None:
        self._maps = maps
        self._names = [name for name in SIGNALS if name in names and SIGNALS[name].missing(maps) is None]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Group:
        signal = SIGNALS[name]
        x = np.asarray(signal.of(self._maps), np.float64)
        x = x.reshape(len(x), -1)
        if not np.isfinite(x).all():
            raise InputError(f"{name} features hold values that are not finite; probes need finite numbers")
        group = {"raw": standardised(x)}
        if signal.logarithm is not None:
            x = signal.logarithm(x)
            group["log"] = standardised(x)
        return group


def feature_grids(maps: Any, names: Container[str] = SIGNALS) -> dict[str, np.ndarray]:
    """The feature groups as images, (N, channels, gh, gw) float32, in logarithms where they have any."""
    grids = {}
    for signal, array in _features(maps, names):
        grid = array if signal.logarithm is None else signal.logarithm(array)
        grid = grid.reshape(*grid.shape[:3], -1)
        grids[signal.name] = np.ascontiguousarray(np.moveaxis(grid.astype(np.float32), -1, 1))
    return grids


def _features(maps: Any, names: Container[str]) -> Iterator[tuple[Signal, np.ndarray]]:
    """The signals of those names that the maps hold, (N, gh, gw, ...) float64."""
    found = ((signal, signal.of(maps)) for name, signal in SIGNALS.items() if name in names)
    return ((signal, np.asarray(array, np.float64)) for signal, array in found if array is not None)


def standardised(x: np.ndarray) -> np.ndarray:
    """Columns centred, scaled to unit variance and by the root of their number: (N, p) -> (N, q) float32."""
    columns = [slice(start, start + AT_ONCE) for start in range(0, x.shape[1], AT_ONCE)]
    std = np.concatenate([x[:, some].std(0) for some in columns])
    varied = std > LEAST_STD * max(float(std.max(initial=0.0)), np.finfo(float).tiny)
    if not varied.any():
        return np.zeros((len(x), 1), np.float32)
    found = np.empty((len(x), np.count_nonzero(varied)), np.float32)
    ends = np.cumsum([0, *(np.count_nonzero(varied[some]) for some in columns)])
    for some, start, stop in zip(columns, ends, ends[1:], strict=False):
        part = x[:, some][:, varied[some]]
        part -= part.mean(0)
        part /= std[some][varied[some]] * np.sqrt(found.shape[1])
        found[:, start:stop] = part
    return found
