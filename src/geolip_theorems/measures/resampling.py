"""Intervals of means over images, p values, and the form every figure is given in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
LEAST_UNITS = 6  # images, or groups, for an interval: fewer say too little of their own spread
N_RESAMPLES = 9999
LEAST_UNITS_BOOTSTRAP = 30  # below, BCa covers less than it says and Student's t is used
MOST_UNITS_BOOTSTRAP = 4000  # above, both agree to a fraction of a per cent of their width
BATCH_ELEMENTS = 2_000_000

Interval = tuple[float, float]


def figure(
    value: float | None, ci95: Interval | None, n: int, method: str, *, null: Any = None, **more: Any
) -> dict[str, Any]:
    """One measured figure as it stands in results.json.

    Args:
        value: the estimate; None, or a number that is not finite, where it is undefined.
        ci95: ends of its 95 % interval, or None.
        n: images it rests on.
        method: how the interval was found.
        null: what the figure would be, or is distributed as, where the claim is untrue.
        more: further entries, such as ``p``.
    """
    value = None if value is None or not math.isfinite(value) else float(value)
    if value is None or ci95 is None or not all(math.isfinite(end) for end in ci95):
        ci95 = None
    entries = {"value": value, "ci95": None if ci95 is None else [float(end) for end in ci95]}
    entries |= {"n": int(n), "method": method}
    if null is not None:
        entries["null"] = null
    return entries | more


def mean_figure(
    values: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    seed: int = 0,
    bootstrap: bool = True,
    **more: Any,
) -> dict[str, Any]:
    """The mean over images with its interval; images whose value is NaN are left out of it and of ``n``.

    Args:
        values: (N,) one number an image.
        groups: (N,) group of each image, or None where images are independent. Images of a group are
            drawn together: the mean is then a ratio of the groups' sums to their counts.
        bootstrap: BCa over images (or groups) by SciPy, 9,999 resamples, where there are 30 to 4,000 of
            them (of groups unlike in size: an effective 30); else, and outside that range, Student's t (for
            groups of the linearised ratio).

    Returns:
        See :func:`figure`. Fewer than six images (groups) give a value and no interval. Values that are
        all the same give an interval without width, and the method says so.

    Cost: O(9999 N): 0.2 s for 2,000 images; microseconds without the bootstrap.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    values = values[known]
    n = len(values)
    if groups is None:
        sums, counts = values, np.ones(n)
    else:
        index = np.unique(groups[known], return_inverse=True)[1]
        sums, counts = np.bincount(index, values), np.bincount(index).astype(np.float64)
    units, unit = len(sums), unit_name(groups)
    if units < LEAST_UNITS:
        return figure(values.mean() if n else None, None, n, too_few(units, groups), **more)
    value = sums.sum() / counts.sum()
    if np.ptp(values) == 0:
        ci, method = (value, value), f"no spread: identical values in all {unit}"
    elif bootstrap and _enough(counts) and np.ptp(sums / counts) > 0:
        ci, method = _bca(sums, counts, seed), f"BCa bootstrap over {unit}, {N_RESAMPLES} resamples"
    else:
        ci, method = _student(sums - value * counts, counts, value), f"Student t over {unit}"
    return figure(value, ci, n, method, **more)


def _enough(counts: np.ndarray) -> bool:
    """Whether units with so many images each are neither too few nor too many for the bootstrap."""
    return degrees_of_freedom(counts) + 1 >= LEAST_UNITS_BOOTSTRAP and len(counts) <= MOST_UNITS_BOOTSTRAP


def unit_name(groups: np.ndarray | None) -> str:
    """What an interval counts, in words."""
    return "images" if groups is None else "groups of images"


def too_few(units: int, groups: np.ndarray | None) -> str:
    """The method of a figure that has too few images, or groups, for an interval."""
    return f"no interval from {units} {unit_name(groups)}, fewer than {LEAST_UNITS}"


def share_figure(
    share: np.ndarray, groups: np.ndarray | None = None, *, seed: int = 0, bootstrap: bool = True
) -> dict[str, Any]:
    """:func:`mean_figure` of a share, its interval kept inside 0 to 1.

    Where every image has the same share an interval without width would claim certainty. Each image (or
    group) is then a trial that did not turn out otherwise: by the exact binomial at most a part q of them
    would, and those have any share from 0 to 1.
    """
    result = mean_figure(share, groups, seed=seed, bootstrap=bootstrap)
    if result["ci95"] is None:
        return result
    known = np.isfinite(share)
    low, high = result["ci95"]
    method = result["method"]
    if np.ptp(share[known]) == 0:
        units = result["n"] if groups is None else len(np.unique(groups[known]))
        q = stats.binomtest(0, units).proportion_ci(LEVEL).high
        low, high = result["value"] * (1 - q), result["value"] * (1 - q) + q
        method = f"identical shares: exact binomial, {unit_name(groups)} as trials"
    return result | {"ci95": [float(max(low, 0.0)), float(min(high, 1.0))], "method": method}


def _bca(sums: np.ndarray, counts: np.ndarray, seed: int) -> Interval:
    def ratio(s: np.ndarray, c: np.ndarray, axis: int = -1) -> np.ndarray:
        return s.sum(axis) / c.sum(axis)

    batch = max(1, BATCH_ELEMENTS // len(sums))
    settings = {"n_resamples": N_RESAMPLES, "batch": batch, "method": "BCa", "vectorized": True}
    rng = np.random.default_rng(seed)
    if np.ptp(counts) == 0:
        result = stats.bootstrap((sums / counts,), np.mean, random_state=rng, **settings)
    else:
        result = stats.bootstrap((sums, counts), ratio, paired=True, random_state=rng, **settings)
    return result.confidence_interval.low, result.confidence_interval.high


def _student(residual_sums: np.ndarray, counts: np.ndarray, value: float) -> Interval:
    error = standard_error(residual_sums, counts)
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, degrees_of_freedom(counts))) * error
    return value - reach, value + reach


def standard_error(residual_sums: np.ndarray, counts: np.ndarray) -> float:
    """Standard error of a ratio of sums by linearisation (Cochran 1977, 6.3), see :func:`unit_factor`.

    Args:
        residual_sums: (G,) each unit's sum less the ratio times its count.
        counts: (G,) the units' counts.
    """
    return math.sqrt(unit_factor(counts) * np.square(residual_sums).sum()) / counts.sum()


def unit_factor(counts: np.ndarray) -> float:
    """What makes the sum of squares of units' residuals unbiased for the variance of their sum.

    G/(G-1) for G units of equal size. Where units differ in size the residuals of large ones are pulled to
    0, as these make up most of the mean they are taken from: n_g (e_g - mean e) has an expected square in
    proportion to n_g^2 (1 - 2 n_g / N + sum n^2 / N^2), if images of a unit have all in common. Infinite
    for a single unit.
    """
    squares, total = np.square(counts, dtype=np.float64), float(np.sum(counts))
    kept = (squares * (1 - 2 * counts / total + squares.sum() / total**2)).sum()
    return float(squares.sum() / kept) if kept > 1e-9 * squares.sum() else math.inf


def degrees_of_freedom(counts: np.ndarray) -> float:
    """Of that standard error: Kish's effective number of units, (sum n)^2 / sum n^2, less one.

    Units of equal size give G - 1. One group that holds most of the images leaves few degrees of freedom.
    """
    return float(np.sum(counts) ** 2 / np.square(counts).sum() - 1)


def ratio_figure(
    above: np.ndarray, below: np.ndarray, groups: np.ndarray | None = None, **more: Any
) -> dict[str, Any]:
    """The ratio of two means over images, its interval by linearisation; see :func:`mean_figure`."""
    known = np.isfinite(above) & np.isfinite(below)
    above, below = above[known], below[known]
    index = np.arange(len(above)) if groups is None else np.unique(groups[known], return_inverse=True)[1]
    n, method = len(above), f"ratio of means; Student t over {unit_name(groups)}"
    if not below.sum() > 0:
        return figure(None, None, n, method, **more)
    value = above.sum() / below.sum()
    sums, weights, sizes = np.bincount(index, above), np.bincount(index, below), np.bincount(index)
    if len(sums) < LEAST_UNITS:
        return figure(value, None, n, too_few(len(sums), groups), **more)
    error = standard_error(sums - value * weights, weights)
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, degrees_of_freedom(sizes))) * error
    return figure(value, (value - reach, value + reach), n, method, **more)


def difference_figure(values: np.ndarray, groups: np.ndarray | None = None, **more: Any) -> dict[str, Any]:
    """:func:`mean_figure` of paired differences, with the two-sided p of no difference (Student's t)."""
    result = mean_figure(values, groups, bootstrap=False, **more)
    if result["ci95"] is None:
        return result
    known = np.isfinite(values)
    sizes = np.ones(known.sum()) if groups is None else np.unique(groups[known], return_counts=True)[1]
    df = degrees_of_freedom(sizes)
    reach = result["ci95"][1] - result["value"]
    if reach == 0:  # identical differences: the sign test, which needs no spread
        p = 1.0 if result["value"] == 0 else 2.0 ** (1 - len(sizes))
    else:
        t = result["value"] / reach * stats.t.ppf(0.5 + LEVEL / 2, df)
        p = float(2 * stats.t.sf(abs(t), df))
    return result | {"p": p, "null": 0.0}


def simultaneous_reach(influence: np.ndarray, df: float, seed: int = 0, draws: int = 20_000) -> float:
    """How many standard errors make intervals that hold all at once: the 95 % point of max |t|.

    Args:
        influence: (G, L) each unit's contribution to L estimates; columns without spread are left out.
        df: degrees of freedom of the standard errors.

    Returns:
        The multiplier, from a multivariate t with the estimates' correlation (Hothorn, Bretz and
        Westfall 2008), at least Student's own.
    """
    single = float(stats.t.ppf(0.5 + LEVEL / 2, df))
    influence = influence[:, influence.std(0) > 0]
    if influence.shape[1] < 2:
        return single
    rng = np.random.default_rng(seed)
    correlation = np.corrcoef(influence.T)
    values, vectors = np.linalg.eigh(correlation)
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
