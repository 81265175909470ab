"""The golden packets of the original solver, and the envelope by which agreement with them is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from geolip_theorems.conduit.reference import follow

DATA = Path(__file__).parents[1] / "data" / "conduit.npz"
SIZES = (2, 3, 4, 5, 6, 8, 12, 16)
# Kinds whose path is well defined. The others amplify rounding noise without bound: there friction is
# compared in magnitude (the difference of log10).
ORDINARY = ("separated", "symmetric", "gram", "diagonal", "tiny", "huge")
DEGENERATE = ("repeated", "clustered", "rank1", "identity", "zero")
# Quantiles need numbers: the eight tiny and eight huge matrices of a size are Gram matrices too: they join.
FAMILIES = {"gram": ("gram", "tiny", "huge")}
QUANTILES = (0.5, 0.9, 0.99)
MOST_TIMES = 2.0


def load() -> dict[str, np.ndarray]:
    with np.load(DATA) as file:
        return dict(file)


def family(golden: dict[str, np.ndarray], n: int, kind: str, field: str) -> np.ndarray:
    return np.concatenate([golden[f"n{n}_{member}_{field}"] for member in FAMILIES.get(kind, (kind,))])


def telemetry(A: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """friction and settle of the reference path, each of A's shape without its last axis."""
    path = follow(A.reshape(-1, *A.shape[-2:]).permute(1, 2, 0).contiguous())
    return path.friction.T.reshape(A.shape[:-1]).numpy(), path.settle.T.reshape(A.shape[:-1]).numpy()


def ulp_moves(A: torch.Tensor, draws: int = 8) -> torch.Tensor:
    """A (B, n, n) with every entry moved one unit in the last place, up or down, symmetrically."""
    signs = torch.rand((draws, *A.shape), generator=torch.Generator().manual_seed(0)) < 0.5
    moved = torch.nextafter(A.expand_as(signs), torch.where(signs, torch.inf, -torch.inf))
    return torch.where(torch.ones(A.shape[-2:], dtype=torch.bool).triu(), moved, moved.mT)


def difference(x: np.ndarray, y: np.ndarray, log: bool) -> np.ndarray:
    x, y = x.astype(np.float64), y.astype(np.float64)
    # An iterate that ran away has |p'| beyond float32 and adds exactly nothing, so friction can be 0.
    return np.abs(np.log10((x + 1e-30) / (y + 1e-30))) if log else np.abs(x - y) / y


def times_envelope(difference_to_golden: np.ndarray, difference_when_moved: np.ndarray) -> float:
    """The largest quotient of the quantiles 50, 90 and 99 % of the first to those of the second."""
    here, moved = (np.quantile(d, QUANTILES) for d in (difference_to_golden, difference_when_moved))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(here == 0, 0.0, here / moved).max())


def inside_envelope(difference_to_golden: np.ndarray, difference_when_moved: np.ndarray) -> bool:
    return times_envelope(difference_to_golden, difference_when_moved) <= MOST_TIMES
