"""Intervals of means over images, and p values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy

from .figure import LEVEL, Figure, figure
from .units import Groups, Units, student_reach, unit_factor


def mean_figure(values: np.ndarray, groups: Groups = None, **more: Any) -> Figure:
    """The mean over images with Student's interval; a value of NaN is left out of it and of ``n``.

    A BCa bootstrap covers no better on the figures of this suite: see docs/calibration.md.

    Args:
        values: (N,) one number per image.
        groups: (N,) group of each image, None where images are independent, or :class:`Units`. Images of a
            group are one draw: the mean is then a ratio of the groups' sums to their counts, linearised.

    Returns:
        See :func:`figure`. Fewer than six images (groups) give a value and no interval. Values that are
        all the same give an interval without width, and the method says so.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    units, values = Units.of(groups, len(values)).take(known), values[known]
    if not units.enough:
        return figure(values.mean() if len(values) else None, None, len(values), units.too_few, **more)
    sums, counts = units.sums(values), units.sizes
    value = sums.sum() / counts.sum()
    method, half = f"no spread: identical values in all {units.name}", 0.0
    if np.ptp(values) > 0:
        half = units.reach * standard_error(sums - value * counts, counts)
        method = f"Student t over {units.name}"
    return figure(value, (value - half, value + half), len(values), method, **more)


def share_figure(share: np.ndarray, groups: Groups = None) -> Figure:
    """:func:`mean_figure` of a share, its interval kept inside 0 to 1.

    Where every image has the same share an interval without width would claim certainty. Each image (or
    group) is then a trial that did not turn out otherwise: by the exact binomial at most a part q of them
    would, and those have any share from 0 to 1.
    """
    result = mean_figure(share, groups)
    if result["ci95"] is None:
        return result
    (low, high), method = result["ci95"], result["method"]
    known = np.isfinite(share)
    if np.ptp(share[known]) == 0:
        units = Units.of(groups, len(share)).take(known)
        q = scipy.stats.binomtest(0, units.count).proportion_ci(LEVEL).high
        low, high = result["value"] * (1 - q), result["value"] * (1 - q) + q
        method = f"identical shares: exact binomial, {units.name} as trials"
    return result | {"ci95": [float(max(low, 0.0)), float(min(high, 1.0))], "method": method}


def standard_error(residual_sums: np.ndarray, counts: np.ndarray) -> float:
    """Standard error of a ratio of sums by linearisation (Cochran 1977, 6.3), see :func:`unit_factor`.

    Args:
        residual_sums: (G,) each unit's sum less the ratio times its count.
        counts: (G,) the units' counts.
    """
    return math.sqrt(unit_factor(counts) * np.square(residual_sums).sum()) / counts.sum()


def ratio_figure(above: np.ndarray, below: np.ndarray, groups: Groups = None, **more: Any) -> Figure:
    """The ratio of two means over images, its interval by linearisation; see :func:`mean_figure`."""
    known = np.isfinite(above) & np.isfinite(below)
    units, above, below = Units.of(groups, len(above)).take(known), above[known], below[known]
    n, method = len(above), f"ratio of means; Student t over {units.name}"
    if not below.sum() > 0:
        return figure(None, None, n, method, **more)
    value = above.sum() / below.sum()
    if not units.enough:
        return figure(value, None, n, units.too_few, **more)
    sums, weights = units.sums(above), units.sums(below)
    half = units.reach * standard_error(sums - value * weights, weights)
    return figure(value, (value - half, value + half), n, method, **more)


def difference_figure(values: np.ndarray, groups: Groups = None, **more: Any) -> Figure:
    """:func:`mean_figure` of paired differences, with the two-sided p of no difference (Student's t)."""
    result = mean_figure(values, groups, **more)
    if result["ci95"] is None:
        return result
    units = Units.of(groups, len(values)).take(np.isfinite(values))
    half = result["ci95"][1] - result["value"]
    if half == 0:  # identical differences: the sign test, which needs no spread
        p = 1.0 if result["value"] == 0 else 2.0 ** (1 - units.count)
    else:
        p = float(2 * scipy.stats.t.sf(abs(result["value"] / half * units.reach), units.df))
    return result | {"p": p, "null": 0.0}


def simultaneous_reach(influence: np.ndarray, df: float, seed: int = 0, draws: int = 20_000) -> float:
    """How many standard errors make intervals that hold all at once: the 95 % point of max |t|.

    From a multivariate t with the estimates' correlation (Hothorn, Bretz and Westfall 2008), at least
    Student's own.

    Args:
        influence: (G, L) each unit's contribution to L estimates; columns without spread are left out.
        df: degrees of freedom of the standard errors.
    """
    single = student_reach(df)
    influence = influence[:, influence.std(0) > 0]
    if influence.shape[1] < 2:
        return single
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(np.corrcoef(influence.T))
    root = vectors * np.sqrt(np.clip(values, 0, None))
    normal = rng.standard_normal((draws, len(root))) @ root.T
    scale = np.sqrt(rng.chisquare(df, draws) / df)
    return max(single, float(np.quantile(np.abs(normal).max(1) / scale, LEVEL)))


def permutation_p(observed: float, null: np.ndarray, side: str, rounding: float | None = None) -> float:
    """(1 + shuffles at least as extreme) / (1 + shuffles) (Phipson and Smyth 2010); NaN shuffles count.

    Args:
        side: ``"less"`` where small values speak for the claim, ``"greater"`` where large ones do.
        rounding: shuffles this near count as ties; by default that of float64.
    """
    rounding = 1e-12 * max(1.0, abs(observed)) if rounding is None else rounding
    extreme = null <= observed + rounding if side == "less" else null >= observed - rounding
    return float((1 + np.count_nonzero(extreme | np.isnan(null))) / (1 + len(null)))


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for their number by Holm's step-down rule (1979)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
