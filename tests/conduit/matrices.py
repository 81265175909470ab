"""Matrices for the conduit's tests, and residuals computed independently in float64."""

from __future__ import annotations

import os

import numpy as np
import torch
from hypothesis import strategies as st

TOLERANCE = 1e-5
# A size compiles in five to eight seconds: those of the golden data, and two odd ones of the looped code:
# with blocks of four and three entries, and of three alone.
SOME = (2, 3, 4, 5, 6, 7, 8, 9, 12, 16)
COMPILED = tuple(range(2, 17)) if os.environ.get("CONDUIT_ALL_SIZES") else SOME


def rotation(n: int, rng: np.random.Generator) -> np.ndarray:
    Q, R = np.linalg.qr(rng.standard_normal((n, n)))
    return Q * np.sign(np.diag(R))


def with_spectrum(spectrum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A float32 symmetric matrix with (nearly) this spectrum in a random basis."""
    Q = rotation(len(spectrum), rng)
    A = ((Q * spectrum) @ Q.T).astype(np.float32)
    return np.triu(A) + np.triu(A, 1).T


def grams(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """Ordinary Gram matrices X^T X of 48 normal rows, (count, n, n) float32."""
    X = np.random.default_rng(seed).standard_normal((count, 48, n)).astype(np.float32)
    return torch.from_numpy(np.einsum("bki,bkj->bij", X, X))


def clustered(count: int, n: int, seed: int = 0) -> torch.Tensor:
    """All eigenvalues but one within 1e-6 of 1, the last 2."""
    rng = np.random.default_rng(seed)
    spectra = 1 + 1e-6 * rng.random((count, n))
    spectra[:, -1] = 2
    return torch.from_numpy(np.stack([with_spectrum(s, rng) for s in spectra]))


def residuals(A: torch.Tensor, eigenvalues: torch.Tensor, V: torch.Tensor) -> tuple[float, float]:
    """The worst ||A - V L V^T|| / ||A|| and ||V^T V - I||, in either norm, computed in float64."""
    A, L, V = (x.double().numpy() for x in (A, eigenvalues, V))
    size = np.abs(A).max((-2, -1), keepdims=True)
    size[size == 0] = 1
    A, L = A / size, L / size[..., 0]
    error, excess = (
        A - (V * L[..., None, :]) @ V.swapaxes(-1, -2),
        V.swapaxes(-1, -2) @ V - np.eye(A.shape[-1]),
    )
    worst = 0.0
    for order in (2, "fro"):
        norm = np.linalg.norm(A, order, axis=(-2, -1))
        relative = np.linalg.norm(error, order, axis=(-2, -1)) / np.where(norm > 0, norm, 1)
        worst = max(worst, float(relative.max()))
    return worst, float(np.linalg.norm(excess, axis=(-2, -1)).max())


def rows_that_differ(x: torch.Tensor, y: torch.Tensor) -> int:
    """How many of (B, ...) are not equal, NaN being equal to NaN."""
    different = (x != y) & ~(x.isnan() & y.isnan())
    return different.nonzero()[:, 0].unique().numel()


@st.composite
def hard_matrix(draw, n: int) -> np.ndarray:
    """Repeated, clustered, deficient, diagonal, permutation and badly scaled symmetric matrices."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["spectrum", "diagonal", "permutation", "low rank", "block", "integers"]))
    if kind == "permutation":
        order = np.arange(n)
        for i in draw(st.lists(st.integers(0, n - 2), max_size=n, unique=True)):
            if order[i] == i and order[i + 1] == i + 1:  # disjoint transpositions keep it symmetric
                order[i], order[i + 1] = i + 1, i
        A = np.eye(n)[order]
    elif kind == "low rank":
        X = rng.standard_normal((n, draw(st.integers(0, n))))
        A = X @ X.T
    elif kind == "integers":
        A = rng.integers(-2, 3, (n, n))
        A = A + A.T
    else:
        values = draw(st.lists(st.sampled_from([0.0, 1.0, -1.0, 2.0, 1e-4, 1e3]), min_size=n, max_size=n))
        spectrum = np.array(values) * (
            1 + draw(st.sampled_from([0.0, 1e-7, 1e-6, 1e-5, 1e-3])) * rng.random(n)
        )
        A = np.diag(spectrum) if kind == "diagonal" else with_spectrum(spectrum, rng).astype(np.float64)
        if kind == "block":
            A[: n // 2, n // 2 :] = A[n // 2 :, : n // 2] = 0
    exponent = draw(st.sampled_from([0, 0, 0, -30, -20, -8, 8, 20, 30]))
    A = (np.asarray(A, dtype=np.float64) * 10.0**exponent).astype(np.float32)
    return np.triu(A) + np.triu(A, 1).T


def low_rank(count: int, n: int, rank: int, seed: int = 0) -> torch.Tensor:
    """Gram matrices X^T X of `rank` normal rows."""
    X = np.random.default_rng(seed).standard_normal((count, rank, n)).astype(np.float32)
    return torch.from_numpy(np.einsum("bki,bkj->bij", X, X))


def diagonal(count: int, n: int, seed: int = 0) -> torch.Tensor:
    return torch.diag_embed(torch.randn(count, n, generator=torch.Generator().manual_seed(seed)))


def symmetric(count: int, n: int, seed: int = 0) -> torch.Tensor:
    A = torch.randn(count, n, n, generator=torch.Generator().manual_seed(seed))
    return A + A.mT


# What the share of repaired rows is reported for, each a function of (count, n).
REPORTED = {
    "ordinary Gram": grams,
    "symmetric": symmetric,
    "diagonal": diagonal,
    "clustered to 1e-6": lambda count, n: clustered(min(count, 4000), n),
    "rank n - 1": lambda count, n: low_rank(count, n, n - 1),
    "rank 1": lambda count, n: low_rank(count, n, 1),
}
