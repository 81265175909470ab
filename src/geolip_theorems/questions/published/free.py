"""Free values: what independent uniform unit vectors of a V and a D give, simulated with their spread."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from ...conduit import conduit
from .formulas import codebook_figures, effective_rank, end_ratio, pentachoron_cv

PATCHES, CODEBOOKS = 400, 400  # draws; 0.3 s together for V 48, D 4
CONDUIT_MODES = range(2, 17)


@dataclass(frozen=True)
class Free:
    """Of one figure.

    Attributes:
        value: mean over the draws. spread: standard deviation of a single draw. draws: how many.
        of: what gives it.
    """

    value: float
    spread: float
    draws: int
    of: str = "random rows"

    @property
    def half(self) -> float:
        """Half-width of the 95 % interval of ``value``, which is simulated."""
        return 1.96 * self.spread / self.draws**0.5


def random_rows(rng: np.random.Generator, n: int, V: int, D: int) -> np.ndarray:
    """(n, V, D) float64, every row independent and uniform on the sphere."""
    rows = rng.standard_normal((n, V, D))
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def spectrum_of(M: np.ndarray, norms: bool) -> np.ndarray:
    """(R, D) singular values of matrices (R, V, D), descending; or their column norms."""
    return np.linalg.norm(M, axis=1) if norms else np.linalg.svd(M, compute_uv=False)


def log_friction(gram: torch.Tensor) -> np.ndarray:
    """(R,) mean over modes of the logarithm of the friction of Gram matrices (R, D, D).

    Of the logarithm, as friction's tail is too heavy for a mean. NaN for a D that the conduit does not take.
    """
    if gram.shape[-1] not in CONDUIT_MODES:
        return np.full(len(gram), np.nan)
    return conduit(gram.float()).friction.double().log().mean(-1).cpu().numpy()


def patch_figures(M: np.ndarray, S: np.ndarray, rng: np.random.Generator, sets: int) -> dict[str, np.ndarray]:
    """Figures of single patches, from M (R, V, D) and S (R, D): ``cv`` (R, sets), the others (R,)."""
    return {
        "cv": pentachoron_cv(M, rng, sets),
        "rank": effective_rank(S),
        "ratio": end_ratio(S),
        "s0": np.asarray(S, np.float64)[:, 0],
    }


PATCHES_ALONE = Free(0.0, 0.0, 1, "patches that do not see each other")
INITIAL = Free(0.0, 0.0, 1, "a gate at its initial value")
CLASSES_ALIKE = Free(0.0, 0.0, 1, "one friction for all classes")


@lru_cache(maxsize=8)
def free_values(V: int, D: int, norms: bool = False, seed: int = 0) -> dict[str, Free]:
    """The free value of every figure of patches and of a codebook that is defined for V and D, by name.

    ``norms``: S are column norms.
    """
    rng = np.random.default_rng([seed, V, D])
    M = random_rows(rng, PATCHES, V, D)
    gram = torch.from_numpy(np.einsum("rvd,rve->rde", M, M) * (np.eye(D) if norms else 1.0))
    found = patch_figures(M, spectrum_of(M, norms), rng, 1) | {"log_friction": log_friction(gram)}
    books = [codebook_figures(rows) for rows in random_rows(rng, CODEBOOKS, V, D)]
    found |= {name: np.array([book[name] for book in books]) for name in books[0]}
    return {
        name: Free(float(values.mean()), float(values.std(ddof=1)), len(values))
        for name, values in found.items()
        if np.isfinite(values).all()
    }
