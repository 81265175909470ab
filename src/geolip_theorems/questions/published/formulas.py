"""The published figures of a patch's matrix, in NumPy, as geolip-svae's READMEs and code define them."""

from __future__ import annotations

import math

import numpy as np
import scipy

POOL, POINTS, SIMPLICES = 512, 5, 200  # the first 512 rows, 5 of them a simplex, 200 simplices
SPECTRUM_FLOOR = 1e-8
ANTIPODAL = -0.9  # cosine below which two rows are one axis
UNIFORM = 0.05  # radians: the published limit of a "uniform" codebook
MAX_ALPHA, INITIAL_LOGIT = 0.2, -2.0


def simplex_volumes(points: np.ndarray) -> np.ndarray:
    """Volumes of simplices, (..., k + 1, D) -> (...): root of the Gram determinant of k edges, over k!."""
    edges = points[..., 1:, :] - points[..., :1, :]
    gram = edges @ edges.swapaxes(-1, -2)
    return np.sqrt(np.maximum(np.linalg.det(gram), 0.0)) / math.factorial(edges.shape[-2])


def pentachoron_cv(M: np.ndarray, rng: np.random.Generator, sets: int = 1) -> np.ndarray:
    """CV (unbiased std over mean) of the volumes of 200 random 5-row simplices of each patch's matrix.

    Args:
        M: (R, V, D). sets: independent sets of 200 a patch.

    Returns:
        (R, sets) float64; NaN where D < 4 or V < 5, as such simplices have no volume.
    """
    rows, dims = min(M.shape[1], POOL), M.shape[2]
    if dims < POINTS - 1 or rows < POINTS:
        return np.full((len(M), sets), np.nan)
    chosen = random_subsets(rng, (len(M), sets, SIMPLICES), rows, POINTS)
    patch = np.arange(len(M)).reshape(-1, 1, 1, 1)
    volumes = simplex_volumes(np.asarray(M, np.float64)[patch, chosen])
    mean = volumes.mean(-1)
    return np.divide(volumes.std(-1, ddof=1), mean, out=np.full(mean.shape, np.nan), where=mean > 0)


def random_subsets(rng: np.random.Generator, shape: tuple[int, ...], n: int, k: int) -> np.ndarray:
    """(*shape, k) int64: k different numbers below n in each place, all subsets alike likely (Floyd 1987)."""
    chosen = np.empty((*shape, k), np.int64)
    for i, last in enumerate(range(n - k, n)):
        drawn = rng.integers(0, last + 1, shape)
        taken = (chosen[..., :i] == drawn[..., None]).any(-1)
        chosen[..., i] = np.where(taken, last, drawn)
    return chosen


def effective_rank(S: np.ndarray) -> np.ndarray:
    """exp of the entropy of S over its sum, S floored at 1e-8: (..., D) -> (...) (Roy and Vetterli 2007)."""
    floored = np.maximum(np.asarray(S, np.float64), SPECTRUM_FLOOR)
    p = floored / floored.sum(-1, keepdims=True)
    return np.exp(-(p * np.log(p)).sum(-1))


def end_ratio(S: np.ndarray) -> np.ndarray:
    """S0 over S_D-1, in the model's own order: (..., D) -> (...)."""
    S = np.asarray(S, np.float64)
    return S[..., 0] / np.maximum(S[..., -1], SPECTRUM_FLOOR)


def s_delta(S: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Mean of abs(S - S_orig) over an image's patches and modes: (I, N, D) twice -> (I,)."""
    return np.abs(np.asarray(S, np.float64) - before).mean((1, 2))


def s_delta_of_means(S: np.ndarray, before: np.ndarray) -> np.ndarray:
    """The trainer's definition: abs of the difference of the means, (I, N, D) twice -> (I,)."""
    return np.abs(np.asarray(S, np.float64).mean((1, 2)) - np.asarray(before, np.float64).mean((1, 2)))


def gate(logits: np.ndarray) -> np.ndarray:
    """alpha = 0.2 sigmoid(logit) of the cross-attention, (...) -> (...)."""
    return MAX_ALPHA * scipy.special.expit(logits)


INITIAL_GATE = float(gate(np.float64(INITIAL_LOGIT)))


def codebook_axes(rows: np.ndarray) -> tuple[np.ndarray, int]:
    """Axes of a codebook (V, D), rows of any length: unit axes (A, D) and the number of antipodal pairs.

    A row's partner is the one most opposite to it; with a cosine below -0.9, and neither taken yet, the two
    become the axis of their difference, greedily from the most opposite on.
    """
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, 1.0)
    partner, lowest = cosine.argmin(1), cosine.min(1)
    free, merged = np.ones(len(rows), bool), []
    for i in np.argsort(lowest, kind="stable"):
        j = partner[i]
        if lowest[i] >= ANTIPODAL:
            break
        if free[i] and free[j]:
            free[[i, j]] = False
            merged.append((unit[i] - unit[j]) / np.linalg.norm(unit[i] - unit[j]))
    return np.concatenate([np.reshape(merged, (-1, rows.shape[1])), unit[free]]), len(merged)


def projective_angle(axes: np.ndarray) -> float:
    """Mean angle between axes (A, D) without direction, in radians, 0 to pi / 2."""
    cosine = np.abs(axes @ axes.T)[np.triu_indices(len(axes), 1)]
    return float(np.arccos(np.minimum(cosine, 1.0)).mean())


def uniform_angle(dims: int) -> float:
    """The same expected of independent uniform axes; the public code takes 4,096 draws of them."""

    def density(angle: float) -> float:
        return math.sin(angle) ** (dims - 2)

    below, above = ((lambda a, k=k: a**k * density(a)) for k in (0, 1))
    return scipy.integrate.quad(above, 0, math.pi / 2)[0] / scipy.integrate.quad(below, 0, math.pi / 2)[0]


def codebook_figures(rows: np.ndarray) -> dict[str, float]:
    """``axes``, ``pairs``, ``deviation``: mean projective angle less that of uniform axes; rows (V, D)."""
    axes, pairs = codebook_axes(rows)
    angle = projective_angle(axes) if len(axes) > 1 else math.nan
    deviation = angle - uniform_angle(rows.shape[1])
    return {"axes": float(len(axes)), "pairs": float(pairs), "deviation": deviation}


def codebook_kind(deviation: float) -> str:
    """``uniform`` below 0.05 radians, ``polytope`` above (axes kept apart), ``degenerate`` (crowded)."""
    if abs(deviation) < UNIFORM:
        return "uniform"
    return "polytope" if deviation > 0 else "degenerate"


def spatial_cv_of_mean(friction: np.ndarray) -> float:
    """CV over patches of the mean friction map, (N, gh, gw, D) -> a number; the population's std."""
    flat = np.asarray(friction, np.float64).mean((0, 3)).ravel()
    return float(flat.std() / flat.mean())
