"""Figures of grids of patches that several questions and probes use."""

from __future__ import annotations

from typing import Any

import numpy as np

TINY = 1e-10


def raw_mean(error: np.ndarray) -> np.ndarray:
    """Mean error of each image, (N, gh, gw) -> (N,) float64."""
    return np.asarray(error, np.float64).reshape(len(error), -1).mean(1)


def mode_energy(S: np.ndarray) -> np.ndarray:
    """Each mode's share of a patch's squared singular values: (..., D) -> (..., D)."""
    squared = np.square(S)
    return squared / (squared.sum(-1, keepdims=True) + TINY)


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
