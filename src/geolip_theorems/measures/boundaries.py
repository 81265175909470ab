"""Question 6: is the error where the image has its boundaries?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from ..luma import LUMA
from .class_null import sums_by
from .resampling import (
    LEAST_UNITS,
    LEVEL,
    degrees_of_freedom,
    difference_figure,
    figure,
    mean_figure,
    permutation_p,
    ratio_figure,
    too_few,
    unit_factor,
    unit_name,
)
from .seed import region_masks

N_PERMUTATIONS = 199
MOST_IN_NULL = 2000


def rank_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of a with the same row of b, ties given their mean rank.

    Args:
        a, b: (N, P). A row of ``a`` without variation goes with nothing: 0. A row of ``b`` without
            variation has nothing to go with: NaN.

    Returns:
        (N,) float64.
    """
    x, y = _centred_ranks(a), _centred_ranks(b)
    xx, yy = np.square(x).sum(1), np.square(y).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (x * y).sum(1) / np.sqrt(xx * yy)
    return np.where(yy > 0, np.where(xx > 0, r, 0.0), np.nan)


def partial_rank_correlation(a: np.ndarray, b: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Spearman's partial correlation of rows of a and b, the ranks of ``given`` removed from both, (N,).

    Where ``given`` does not vary over an image this is the plain correlation; where it orders ``b`` (or
    a) completely nothing is left: NaN (0).
    """
    ab, ag, bg = rank_correlation(a, b), rank_correlation(a, given), rank_correlation(b, given)
    ag, bg = np.nan_to_num(ag), np.nan_to_num(bg)
    left_a, left_b = 1 - ag**2, 1 - bg**2
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (ab - ag * bg) / np.sqrt(left_a * left_b)
    return np.where(left_b > 1e-9, np.where(left_a > 1e-9, r, np.where(np.isnan(ab), np.nan, 0.0)), np.nan)


def boundary_structure(
    error: np.ndarray,
    *,
    gradient: np.ndarray | None = None,
    input_var: np.ndarray | None = None,
    input_mean: np.ndarray | None = None,
    boundary: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    names: Sequence[str] = (),
    groups: np.ndarray | None = None,
    seed: int = 0,
    n_permutations: int = N_PERMUTATIONS,
) -> dict[str, Any]:
    """Every figure of question 6.

    Args:
        error: (N, gh, gw). gradient, input_var, boundary: (N, gh, gw). input_mean: (N, gh, gw, channels).
            labels, groups: (N,). names: of the classes. Each of them may be None.

    Returns:
        ``gradient`` (the verdict's figure), ``contrast`` (standard deviation of a patch's input over its
        brightness) and ``variance``: Spearman correlation of the error map with each, mean over images;
        ``gradient_given_brightness``: partial; ``hot_patches``: of the mean map, see
        :func:`hot_patches`; ``regions``: paired differences of relative error between regions, also a
        class; ``true_boundary``: error inside and outside the boundary band. What an input is missing
        for is None.

    Cost: one sort of N x gh x gw values a map and ``n_permutations`` shuffles: 3 s for 2,000 x 256.
    """
    n = len(error)
    e = np.asarray(error, np.float64).reshape(n, -1)
    bright = None if input_mean is None else brightness(input_mean).reshape(n, -1)
    others: dict[str, np.ndarray | None] = {
        "gradient": None if gradient is None else gradient.reshape(n, -1),
        "contrast": None,
        "variance": None if input_var is None else input_var.reshape(n, -1),
    }
    if input_var is not None and bright is not None:
        others["contrast"] = np.sqrt(np.maximum(others["variance"], 0)) / np.maximum(np.abs(bright), 1e-3)
    result: dict[str, Any] = {
        name: None
        if other is None
        else mean_figure(
            rank_correlation(e, other), groups, seed=seed, bootstrap=name == "gradient", null=0.0
        )
        for name, other in others.items()
    }
    result["gradient_given_brightness"] = (
        None
        if gradient is None or bright is None
        else mean_figure(
            partial_rank_correlation(e, others["gradient"], bright), groups, bootstrap=False, null=0.0
        )
    )
    result["hot_patches"] = hot_patches(error, groups, seed, n_permutations)
    result["regions"] = region_contrasts(error, labels, names, groups)
    result["true_boundary"] = None if boundary is None else band_contrast(error, boundary, groups)
    return result


def brightness(input_mean: np.ndarray) -> np.ndarray:
    """Luma of a patch's mean colour, (N, gh, gw, channels) -> (N, gh, gw); the mean unless 3 channels."""
    mean = np.asarray(input_mean, np.float64)
    return mean @ np.array(LUMA) if mean.shape[-1] == 3 else mean.mean(-1)


def hot_patches(
    error: np.ndarray, groups: np.ndarray | None = None, seed: int = 0, n: int = N_PERMUTATIONS
) -> dict[str, Any] | None:
    """Positions of the mean error map that are hotter than positions dealt out at random in each image.

    Images of a group are shuffled alike, so that what a group has in common is in the null.

    Args:
        error: (N, gh, gw); at most 2,000 images of it are used. groups: (N,) or None.

    Returns:
        A figure: ``value`` positions above mean + 2 standard deviations (the seed protocol's count, which
        is about 2 % of the positions of any map), its ``null`` and ``p``; its interval counts the
        positions that are surely, and those that are possibly above that level (:func:`_hot_interval`);
        ``beyond_chance``: positions whose mean error is above the 95 % point of the shuffled maps'
        maximum; ``spread``: standard deviation over positions of the true mean map, see
        :func:`map_spread`, with null and p of the observed one. None on a grid of one patch.

    Cost: ``n`` shuffles of the images' (groups') maps: 2 s for 2,000 x 256.
    """
    some = np.linspace(0, len(error) - 1, min(len(error), MOST_IN_NULL)).astype(int)
    e = np.asarray(error, np.float64)[some].reshape(len(some), -1)
    if e.shape[1] < 2:
        return None
    units = np.arange(len(e)) if groups is None else np.unique(groups[some], return_inverse=True)[1]
    summed = sums_by(e, units, int(units.max()) + 1)
    rng = np.random.default_rng(seed)
    observed = e.mean(0)
    null = np.stack([rng.permuted(summed, axis=1).sum(0) for _ in range(n)]) / len(e)
    # Sums in another order round differently: a map that is flat has no hot position.
    flat = 1e-6 * abs(observed.mean())

    def count(m: np.ndarray) -> np.ndarray:
        level = m.mean(-1, keepdims=True) + np.maximum(2 * m.std(-1, ddof=1, keepdims=True), flat)
        return (m > level).sum(-1)

    counts, spreads = count(null), null.std(1, ddof=1)
    value, spread = int(count(observed)), float(observed.std(ddof=1))
    p = permutation_p(value, counts.astype(float), "greater")
    ci, method = _hot_interval(summed, np.bincount(units), groups, flat)
    shuffles = {"shuffled": f"positions of {unit_name(groups)}", "shuffles": n}
    chance = {"mean": float(counts.mean()), "q95": float(np.quantile(counts, 0.95)), **shuffles}
    beyond = int((observed > np.quantile(null.max(1), 0.95) + flat).sum())
    result = figure(value, ci, len(e), method, null=chance, p=p, beyond_chance=beyond)
    of_spread = {"mean": float(spreads.mean()), "q95": float(np.quantile(spreads, 0.95)), **shuffles}
    p = permutation_p(spread, spreads + flat, "greater")
    of_spread |= {"of": "standard deviation of the mean map", "observed": spread}
    return result | {
        "spread": map_spread(e, None if groups is None else groups[some]) | {"p": p, "null": of_spread}
    }


def _hot_interval(
    summed: np.ndarray, sizes: np.ndarray, groups: np.ndarray | None, flat: float
) -> tuple[tuple[float, float] | None, str]:
    """Ends of an interval of the count of hot positions, and its method.

    Each position's height above the map's mean + 2 standard deviations has a Student interval over images
    (groups) by linearisation, all at once by Bonferroni; the ends count those wholly above 0, and those
    not wholly below.

    Args:
        summed: (U, P) errors summed over each unit's images. sizes: (U,) images.
    """
    units, places = summed.shape
    if units < LEAST_UNITS:
        return None, too_few(units, groups)
    mean = summed.sum(0) / sizes.sum()
    centred, std = mean - mean.mean(), mean.std(ddof=1)
    residual = summed - sizes[:, None] * mean
    level = residual.mean(1) + (2 * residual @ centred / ((places - 1) * std) if std > flat else 0)
    error = np.sqrt(unit_factor(sizes) * np.square(residual - level[:, None]).sum(0)) / sizes.sum()
    reach = stats.t.ppf(1 - (1 - LEVEL) / 2 / places, degrees_of_freedom(sizes)) * error
    above = centred - max(2 * std, flat)
    ends = int((above - reach > 0).sum()), int((above + reach > 0).sum())
    return ends, f"Student t over {unit_name(groups)} at each position, Bonferroni"


def map_spread(e: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    """Standard deviation over positions of the mean map, freed of the noise of a mean of finitely many maps.

    The variance over positions is estimated from products of maps of different images (groups), which
    share no noise; its interval is Student's t by linearisation, conservative close to 0, where the
    linear term vanishes. Ends and value are signed roots.

    Args:
        e: (N, P). groups: (N,) or None.
    """
    off = e - e.mean(1, keepdims=True)
    sizes = np.ones(len(e))
    if groups is not None:
        index = np.unique(groups, return_inverse=True)[1]
        sizes = np.bincount(index).astype(np.float64)
        off = sums_by(off, index, len(sizes))
    units, total, places = len(off), off.sum(0), e.shape[1]
    pairs = sizes.sum() ** 2 - np.square(sizes).sum()
    if units < 2:
        return figure(None, None, len(e), too_few(units, groups))
    squares = np.square(off).sum(1)
    variance = (np.square(total).sum() - squares.sum()) / pairs / (places - 1)
    value = float(np.sign(variance) * np.sqrt(abs(variance)))
    if units < LEAST_UNITS:
        return figure(value, None, len(e), too_few(units, groups))
    # Each unit's part of the sum over pairs, and of the number of pairs.
    parts = (off @ total - squares) / (places - 1) - variance * sizes * (sizes.sum() - sizes)
    error = 2 * np.sqrt(unit_factor(sizes) * np.square(parts).sum()) / pairs
    reach = stats.t.ppf(0.5 + LEVEL / 2, degrees_of_freedom(sizes)) * error
    ends = [float(np.sign(end) * np.sqrt(abs(end))) for end in (variance - reach, variance + reach)]
    return figure(value, ends, len(e), f"products of different maps; Student t over {unit_name(groups)}")


def region_contrasts(
    error: np.ndarray, labels: np.ndarray | None, names: Sequence[str], groups: np.ndarray | None
) -> dict[str, Any]:
    """Differences between regions of each image's error over its mean, paired over images.

    Returns:
        ``edge-center`` and ``corner-center``: figures with p, None for a region without patches;
        ``per_class``: the same a class (None for a class without images), or None without labels.
    """
    e = np.asarray(error, np.float64)
    mean = e.mean((1, 2))
    relative = e / np.where(mean > 0, mean, 1)[:, None, None]
    masks = region_masks(*e.shape[1:])
    means = {name: relative[:, m].mean(1) if m.any() else None for name, m in masks.items()}

    def contrasts(rows: np.ndarray) -> dict[str, Any]:
        return {
            f"{name}-center": None
            if means[name] is None or means["center"] is None
            else difference_figure(
                (means[name] - means["center"])[rows], None if groups is None else groups[rows]
            )
            for name in ("edge", "corner")
        }

    result = contrasts(np.arange(len(e)))
    result["per_class"] = (
        None
        if labels is None
        else {
            name: contrasts(np.flatnonzero(labels == c)) if (labels == c).any() else None
            for c, name in enumerate(names)
        }
    )
    return result


def band_contrast(error: np.ndarray, boundary: np.ndarray, groups: np.ndarray | None) -> dict[str, Any]:
    """Error inside and outside the true boundary band, patches weighted by their share in it.

    Returns:
        ``inside``, ``outside``: mean over images. ``difference``: paired, with p. ``ratio``: of these
        means. ``correlation``: Spearman, of error with the share.
        Images wholly inside or outside are left out.
    """
    e = np.asarray(error, np.float64).reshape(len(error), -1)
    b = np.asarray(boundary, np.float64).reshape(e.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside, outside = (e * b).sum(1) / b.sum(1), (e * (1 - b)).sum(1) / (1 - b).sum(1)
    inside[np.isnan(outside)], outside[np.isnan(inside)] = np.nan, np.nan
    return {
        "inside": mean_figure(inside, groups, bootstrap=False),
        "outside": mean_figure(outside, groups, bootstrap=False),
        "difference": difference_figure(inside - outside, groups),
        "ratio": ratio_figure(inside, outside, groups, null=1.0),
        "correlation": mean_figure(rank_correlation(e, b), groups, bootstrap=False, null=0.0),
    }


def _centred_ranks(a: np.ndarray) -> np.ndarray:
    ranks = stats.rankdata(a, axis=1)
    return ranks - (a.shape[1] + 1) / 2
