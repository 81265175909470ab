"""Intervals of means over images, permutations of labels, and the form every figure is given in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
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
            them; else, and outside that range, Student's t (for groups of the linearised ratio).

    Returns:
        See :func:`figure`.

    Cost: O(9999 N): 0.2 s for 2,000 images; microseconds without the bootstrap.
    """
    values = np.asarray(values, np.float64)
    known = np.isfinite(values)
    values = values[known]
    n = len(values)
    unit = "images" if groups is None else "groups of images"
    if groups is None:
        sums, counts = values, np.ones(n)
    else:
        index = np.unique(groups[known], return_inverse=True)[1]
        sums, counts = np.bincount(index, values), np.bincount(index).astype(np.float64)
    units = len(sums)
    if units < 2:
        return figure(values.mean() if n else None, None, n, f"no interval from {units} {unit}", **more)
    value = sums.sum() / counts.sum()
    if bootstrap and LEAST_UNITS_BOOTSTRAP <= units <= MOST_UNITS_BOOTSTRAP and np.ptp(sums / counts) > 0:
        ci, method = _bca(sums, counts, seed), f"BCa bootstrap over {unit}, {N_RESAMPLES} resamples"
    else:
        ci, method = _student(sums - value * counts, counts, value), f"Student t over {unit}"
    return figure(value, ci, n, method, **more)


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
    units = len(residual_sums)
    error = standard_error(residual_sums, counts)
    reach = stats.t.ppf(0.5 + LEVEL / 2, units - 1) * error
    return value - reach, value + reach


def standard_error(residual_sums: np.ndarray, counts: np.ndarray) -> float:
    """Standard error of a ratio of sums by linearisation (Cochran 1977, 6.3), with G/(G-1) for G units.

    Args:
        residual_sums: (G,) each unit's sum less the ratio times its count.
        counts: (G,) the units' counts.
    """
    units = len(residual_sums)
    return math.sqrt(units / (units - 1) * np.square(residual_sums).sum()) / counts.sum()


def ratio_figure(
    above: np.ndarray, below: np.ndarray, groups: np.ndarray | None = None, **more: Any
) -> dict[str, Any]:
    """The ratio of two means over images, its interval by linearisation; see :func:`mean_figure`."""
    known = np.isfinite(above) & np.isfinite(below)
    index = np.arange(known.sum()) if groups is None else np.unique(groups[known], return_inverse=True)[1]
    sums, counts = np.bincount(index, above[known]), np.bincount(index, below[known])
    method = f"ratio of means; Student t over {'images' if groups is None else 'groups of images'}"
    if len(sums) < 2 or not counts.sum() > 0:
        return figure(None, None, known.sum(), method, **more)
    value = sums.sum() / counts.sum()
    return figure(value, _student(sums - value * counts, counts, value), known.sum(), method, **more)


def difference_figure(values: np.ndarray, groups: np.ndarray | None = None, **more: Any) -> dict[str, Any]:
    """:func:`mean_figure` of paired differences, with the two-sided p of no difference (Student's t)."""
    result = mean_figure(values, groups, bootstrap=False, **more)
    if result["ci95"] is None:
        return result
    units = result["n"] if groups is None else len(np.unique(groups[np.isfinite(values)]))
    reach = result["ci95"][1] - result["value"]
    if reach == 0:
        p = 1.0 if result["value"] == 0 else 0.0
    else:
        t = result["value"] / reach * stats.t.ppf(0.5 + LEVEL / 2, units - 1)
        p = float(2 * stats.t.sf(abs(t), units - 1))
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


def exchangeable(labels: np.ndarray, groups: np.ndarray | None) -> str:
    """What may be shuffled under the null: ``"images"``, ``"images within groups"`` or ``"whole groups"``.

    Where every group is of one class (blocks of one photograph), labels within a group are all the same
    and shuffling them says nothing; then the groups' labels are shuffled.
    """
    if groups is None:
        return "images"
    of_group = np.full(groups.max() + 1, -1)
    of_group[groups] = labels
    return "whole groups" if (of_group[groups] == labels).all() else "images within groups"


def shuffled_labels(
    labels: np.ndarray, groups: np.ndarray | None, n: int, rng: np.random.Generator, batch: int
) -> Iterator[np.ndarray]:
    """Shuffles of the labels under :func:`exchangeable`, in batches of (<= batch, N).

    Cost: one sort of ``batch`` x N random numbers a batch within groups, else one shuffle.
    """
    unit = exchangeable(labels, groups)
    if unit == "whole groups":
        names, first = np.unique(groups, return_index=True)
        column = np.searchsorted(names, groups)
        of_group = labels[first]
    elif unit == "images within groups":
        home = np.argsort(groups, kind="stable")
    for start in range(0, n, batch):
        rows = min(batch, n - start)
        if unit == "images":
            yield rng.permuted(np.broadcast_to(labels, (rows, len(labels))), axis=1)
        elif unit == "whole groups":
            yield rng.permuted(np.broadcast_to(of_group, (rows, len(of_group))), axis=1)[:, column]
        else:
            key = rng.random((rows, len(labels)))
            key += groups  # sorts by group first
            out = np.empty((rows, len(labels)), labels.dtype)
            out[:, home] = labels[np.argsort(key, axis=1)]
            yield out


def permutation_p(observed: float, null: np.ndarray, side: str) -> float:
    """(1 + shuffles at least as extreme) / (1 + shuffles) (Phipson and Smyth 2010); NaN shuffles count.

    Args:
        side: ``"less"`` where small values speak for the claim, ``"greater"`` where large ones do.
    """
    rounding = 1e-12 * max(1.0, abs(observed))
    extreme = null <= observed + rounding if side == "less" else null >= observed - rounding
    return float((1 + np.count_nonzero(extreme | np.isnan(null))) / (1 + len(null)))


def holm(p: np.ndarray) -> np.ndarray:
    """p values adjusted for their number by Holm's step-down rule (1979)."""
    p = np.asarray(p, np.float64)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted
