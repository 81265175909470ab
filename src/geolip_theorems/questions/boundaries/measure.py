"""Question 6: is the error where the image has its boundaries?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from ...data.luma import LUMA
from ...stats.class_null import sums_by
from ...stats.estimators import signed_root
from ...stats.figure import LEVEL, figure
from ...stats.grids import region_masks
from ...stats.intervals import difference_figure, mean_figure, permutation_p, ratio_figure
from ...stats.ranks import partial_rank_correlation, rank_correlation
from ...stats.units import Groups, Units
from ..base import Measured
from ..study import Study

N_PERMUTATIONS = 199
MOST_IN_NULL = 2000


def measure(study: Study, n_permutations: int = N_PERMUTATIONS) -> Measured:
    """Figures of question 6 under ``boundaries``; what an input is missing for is None.

    Values ``gradient``, ``contrast``, ``gradient_given_brightness`` (N,): rank correlations with the error,
    NaN where an image has none. Figures: their means (``gradient`` is the verdict's; ``contrast``: standard
    deviation of a patch's input over its brightness), that of ``variance``, and ``hot_patches``, ``regions``,
    ``true_boundary``.

    Cost: one sort of N x gh x gw values per map and ``n_permutations`` shuffles: 3 s for 2,000 x 256.
    """
    maps, groups = study.maps, study.units
    error, bright = maps.error, None if maps.input_mean is None else brightness(maps.input_mean)
    e, slope, spread, bright = (
        None if part is None else part.reshape(len(error), -1)
        for part in (np.asarray(error, np.float64), maps.gradient, maps.input_var, bright)
    )
    contrast = None
    if spread is not None and bright is not None:
        contrast = np.sqrt(np.maximum(spread, 0)) / np.maximum(np.abs(bright), 1e-3)
    others = {"gradient": slope, "contrast": contrast, "variance": spread}
    values = {name: rank_correlation(e, other) for name, other in others.items() if other is not None}
    if slope is not None and bright is not None:
        values["gradient_given_brightness"] = partial_rank_correlation(e, slope, bright)
    result: dict[str, Any] = {
        name: mean_figure(values[name], groups, null=0.0) if name in values else None
        for name in (*others, "gradient_given_brightness")
    }
    result["hot_patches"] = hot_patches(error, groups, study.seed, n_permutations)
    result["regions"] = region_contrasts(error, study.labels, study.names, groups)
    result["true_boundary"] = None if maps.boundary is None else band_contrast(error, maps.boundary, groups)
    values.pop("variance", None)  # no metric reads it
    return Measured({"boundaries": result}, values)


def brightness(input_mean: np.ndarray) -> np.ndarray:
    """Luma of a patch's mean colour, (N, gh, gw, channels) -> (N, gh, gw); the mean unless 3 channels."""
    mean = np.asarray(input_mean, np.float64)
    return mean @ np.array(LUMA) if mean.shape[-1] == 3 else mean.mean(-1)


def hot_patches(
    error: np.ndarray, groups: Groups = None, seed: int = 0, n: int = N_PERMUTATIONS
) -> dict[str, Any] | None:
    """Positions of the mean error map that are hotter than positions dealt out at random in each image.

    Images of a group are shuffled alike, so that what a group has in common is in the null.

    Args:
        error: (N, gh, gw); at most 2,000 images of it are used. groups: (N,) or None.

    Returns:
        A figure: ``value`` positions above mean + 2 standard deviations (the script's count), its
        ``null`` and ``p``, its interval see :func:`_hot_interval`; ``beyond_chance``: positions above the
        95 % point of the shuffled maps' maximum; ``spread``: see :func:`map_spread`. None on a grid of one
        patch.

    Cost: ``n`` shuffles of the images' (groups') maps: 2 s for 2,000 x 256.
    """
    some = np.linspace(0, len(error) - 1, min(len(error), MOST_IN_NULL)).astype(int)
    e = np.asarray(error, np.float64)[some].reshape(len(some), -1)
    if e.shape[1] < 2:
        return None
    units = Units.of(groups, len(error)).take(some)
    summed = sums_by(e, units.index, units.count)
    rng = np.random.default_rng(seed)
    observed = e.mean(0)
    null = np.stack([rng.permuted(summed, axis=1).sum(0) for _ in range(n)]) / len(e)
    # Sums in another order round differently: a map that is flat has no hot position.
    flat = 1e-6 * abs(observed.mean())

    def count(m: np.ndarray) -> np.ndarray:
        level = m.mean(-1, keepdims=True) + np.maximum(2 * m.std(-1, ddof=1, keepdims=True), flat)
        return (m > level).sum(-1)

    def described(drawn: np.ndarray) -> dict[str, Any]:
        found = {"mean": float(drawn.mean()), "q95": float(np.quantile(drawn, 0.95))}
        return found | {"shuffled": f"positions of {units.name}", "shuffles": n}

    counts, spreads = count(null), null.std(1, ddof=1)
    value, spread = int(count(observed)), float(observed.std(ddof=1))
    p = permutation_p(value, counts.astype(float), "greater")
    beyond = int((observed > np.quantile(null.max(1), 0.95) + flat).sum())
    more = {"null": described(counts), "p": p, "beyond_chance": beyond}
    more["spread"] = map_spread(e, units) | {"p": permutation_p(spread, spreads + flat, "greater")}
    of_spread = {"of": "standard deviation of the mean map", "observed": spread}
    more["spread"]["null"] = described(spreads) | of_spread
    ci, method = _hot_interval(summed, units, flat)
    return figure(value, ci, len(e), method, **more)


def _hot_interval(summed: np.ndarray, units: Units, flat: float) -> tuple[tuple[float, float] | None, str]:
    """Ends of an interval of the count of hot positions, and its method.

    Each position's height above the map's mean + 2 standard deviations has a Student interval over images
    (groups) by linearisation, all at once by Bonferroni; the ends count those wholly above 0, and those
    not wholly below.

    Args:
        summed: (U, P) errors summed over each unit's images.
    """
    places, sizes = summed.shape[1], units.sizes
    if not units.enough:
        return None, units.too_few
    mean = summed.sum(0) / sizes.sum()
    centred, std = mean - mean.mean(), mean.std(ddof=1)
    residual = summed - sizes[:, None] * mean
    level = residual.mean(1) + (2 * residual @ centred / ((places - 1) * std) if std > flat else 0)
    error = np.sqrt(units.factor * np.square(residual - level[:, None]).sum(0)) / sizes.sum()
    reach = scipy.stats.t.ppf(1 - (1 - LEVEL) / 2 / places, units.df) * error
    above = centred - max(2 * std, flat)
    ends = int((above - reach > 0).sum()), int((above + reach > 0).sum())
    return ends, f"Student t over {units.name} at each position, Bonferroni"


def map_spread(e: np.ndarray, groups: Groups) -> dict[str, Any]:
    """Standard deviation over positions of the mean map, freed of the noise of a mean of finitely many maps.

    The variance over positions is estimated from products of maps of different images (groups), which
    share no noise; its interval is Student's t by linearisation, conservative close to 0, where the
    linear term vanishes. Ends and value are signed roots.

    Args:
        e: (N, P). groups: (N,) or None.
    """
    off = e - e.mean(1, keepdims=True)
    units = Units.of(groups, len(e))
    sizes, places = units.sizes, e.shape[1]
    if units.grouped:
        off = sums_by(off, units.index, units.count)
    total = off.sum(0)
    pairs = sizes.sum() ** 2 - np.square(sizes).sum()
    if units.count < 2:
        return figure(None, None, len(e), units.too_few)
    squares = np.square(off).sum(1)
    variance = (np.square(total).sum() - squares.sum()) / pairs / (places - 1)
    if not units.enough:
        return figure(signed_root(variance), None, len(e), units.too_few)
    # Each unit's part of the sum over pairs, and of the number of pairs.
    parts = (off @ total - squares) / (places - 1) - variance * sizes * (sizes.sum() - sizes)
    half = units.reach * (2 * np.sqrt(units.factor * np.square(parts).sum()) / pairs)
    ends = signed_root(variance - half), signed_root(variance + half)
    method = f"products of different maps; Student t over {units.name}"
    return figure(signed_root(variance), ends, len(e), method)


def region_contrasts(
    error: np.ndarray, labels: np.ndarray | None, names: Sequence[str], groups: Groups
) -> dict[str, Any]:
    """Differences between regions of each image's error over its mean, paired over images.

    ``edge-center`` and ``corner-center``: figures with p, None for a region without patches; ``per_class``:
    the same a class (None for a class without images), or None without labels.
    """
    e = np.asarray(error, np.float64)
    mean = e.mean((1, 2))
    relative = e / np.where(mean > 0, mean, 1)[:, None, None]
    masks, units = region_masks(*e.shape[1:]), Units.of(groups, len(e))
    means = {name: relative[:, m].mean(1) if m.any() else None for name, m in masks.items()}

    def contrasts(rows: np.ndarray) -> dict[str, Any]:
        return {
            f"{name}-center": None
            if means[name] is None or means["center"] is None
            else difference_figure((means[name] - means["center"])[rows], units.take(rows))
            for name in ("edge", "corner")
        }

    members = {} if labels is None else {name: np.flatnonzero(labels == c) for c, name in enumerate(names)}
    by_class = {name: contrasts(rows) if len(rows) else None for name, rows in members.items()}
    return contrasts(np.arange(len(e))) | {"per_class": None if labels is None else by_class}


def band_contrast(error: np.ndarray, boundary: np.ndarray, groups: Groups) -> dict[str, Any]:
    """Error ``inside`` and ``outside`` the true boundary band, patches weighted by their share in it.

    Also the paired ``difference``, the ``ratio`` of the two means, and the ``correlation`` of error with the
    share. Images wholly inside or outside are left out.
    """
    e = np.asarray(error, np.float64).reshape(len(error), -1)
    b = np.asarray(boundary, np.float64).reshape(e.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        inside, outside = (e * b).sum(1) / b.sum(1), (e * (1 - b)).sum(1) / (1 - b).sum(1)
    inside[np.isnan(outside)], outside[np.isnan(inside)] = np.nan, np.nan
    return {
        "inside": mean_figure(inside, groups),
        "outside": mean_figure(outside, groups),
        "difference": difference_figure(inside - outside, groups),
        "ratio": ratio_figure(inside, outside, groups, null=1.0),
        "correlation": mean_figure(rank_correlation(e, b), groups, null=0.0),
    }
