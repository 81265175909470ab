"""Figures of grids of patches that several questions and probes use."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NO_ERROR = "no image has any error"


def raw_mean(error: np.ndarray) -> np.ndarray:
    """Mean error of each image, (N, gh, gw) -> (N,) float64."""
    return np.asarray(error, np.float64).reshape(len(error), -1).mean(1)


def mode_energy(S: np.ndarray) -> np.ndarray:
    """Each mode's share of a patch's squared singular values: (..., D) -> (..., D); 0 where all are 0."""
    largest = np.abs(S).max(-1, keepdims=True)
    squared = np.square(over(S, largest))  # so that no square leaves the range of its type
    return over(squared, squared.sum(-1, keepdims=True))


def over(above: np.ndarray, below: np.ndarray, otherwise: float = 0.0) -> np.ndarray:
    """Quotients of floating point arrays, ``otherwise`` where the divisor is 0; free of any scale."""
    above, below = np.broadcast_arrays(above, below)
    out = np.full(above.shape, otherwise, np.result_type(above, below))
    return np.divide(above, below, out=out, where=below != 0)


def near_one(x: np.ndarray) -> np.ndarray:
    """Positive values divided by the power of two below their mean, which changes no digit of them.

    So that squares stay in the range of their type whatever the unit of ``x``. Zeros stay zeros.
    """
    mean = float(np.mean(x))
    return np.ldexp(x, -math.floor(math.log2(mean))) if mean > 0 else x


def region_masks(gh: int, gw: int) -> dict[str, np.ndarray]:
    """Boolean (gh, gw) masks of the script's regions, a quarter of the grid wide.

    ``center`` and ``edge`` part the grid; ``corner`` is the four corner blocks of gh//4 x gw//4 patches.
    """
    a, b = gh // 4, gw // 4
    center = np.zeros((gh, gw), bool)
    center[a : gh - a, b : gw - b] = True
    corner = np.zeros((gh, gw), bool)
    if a and b:
        corner[np.ix_(np.r_[:a, gh - a : gh], np.r_[:b, gw - b : gw])] = True
    return {"center": center, "edge": ~center, "corner": corner}


def why_absent(maps: Any, name: str) -> str | None:
    """Why there is no such map, in a sentence; None where there is one."""
    if getattr(maps, name, None) is not None:
        return None
    return (getattr(maps, "absent", None) or {}).get(name, f"the maps hold no {name}")
