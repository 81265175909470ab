"""Question 3: which modes matter where, from energies and from decoding without them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from ...stats.class_null import ClassNull, sums_by
from ...stats.figure import figure
from ...stats.grids import mode_energy, region_masks, why_absent
from ...stats.intervals import mean_figure, permutation_p, share_figure
from ...stats.ranks import rank_correlation
from ...stats.units import Groups, Units
from ..base import Measured
from ..study import Study

MARGIN = 1e-4  # of a patch's error, by which another mode must cost more
NONE_DECODED = "no image was decoded without a mode"
RESAMPLES = 999
TIE = 1e-5  # of the statistic: class sums of shuffles are float32


def measure(study: Study) -> Measured:
    """Figures of question 3 under ``modes``; values ``ablated`` (A,) int64, ``other_mode`` (A,) float64.

    Of the maps' ``S`` (N, gh, gw, D), in any order, and ``error_only``, ``error_without`` (A, gh, gw, D), the
    error of the images ``ablated`` (None: the first A) decoded with only mode k and with all but mode k.

    ``energy``: a mode's share of the sum of squares of S. ``share``: of the patches, those whose costliest
    mode is not the overall one, the verdict's, with ``p`` and ``null`` where there are labels. ``ablation``:
    None without a separable decoder, else ``cost``, what losing mode k adds, and ``only``, the error with
    mode k alone; both, ``cost_per_class`` and ``cost_per_region`` a figure per mode; ``cost_map`` (gh, gw, D)
    and ``dominant_map`` (gh, gw) as lists; ``overall_mode``, ``overall_shares``, ``costliest_on_average``;
    ``energy_rank``: Spearman, of cost with energy.

    Cost: O(A gh gw D) and O(A C D) a permutation: 0.5 s for 256 images of 256 patches.
    """
    maps = study.maps
    error, error_only, error_without = maps.error, maps.error_only, maps.error_without
    result: dict[str, Any] = {"energy": [], "share": None, "ablation": None}
    missing = why_absent(maps, "S")
    if not missing:
        energy = mode_energy(np.asarray(maps.S, np.float64))
        result["energy"] = [share_figure(column, study.units) for column in energy.mean((1, 2)).T]
        missing = why_absent(maps, "error_without") or why_absent(maps, "error_only")
    if missing or len(error_without) == 0:
        return Measured({"modes": result | {"share": figure(None, None, 0, missing or NONE_DECODED)}})
    rows = np.arange(len(error_without)) if maps.ablated is None else np.asarray(maps.ablated)
    labels, groups = None if study.labels is None else study.labels[rows], study.units.take(rows)
    cost = _costs(error[rows], error_without)[0]
    dominant, overall = costliest_modes(error[rows], error_without)
    elsewhere = share_elsewhere(dominant, overall)
    values = {"ablated": rows.astype(np.int64), "other_mode": elsewhere}
    result["share"] = share_figure(elsewhere, groups)
    mean_cost, (flat, shares) = cost.mean((1, 2)), (a.reshape(len(rows), -1) for a in (cost, energy[rows]))
    members = {name: labels == c for c, name in enumerate(study.names)}
    by_class = {
        name: _per_mode(mean_cost[of], groups.take(of)) if of.any() else None for name, of in members.items()
    }
    result["ablation"] = {
        "cost": _per_mode(mean_cost, groups),
        "only": _per_mode(np.asarray(error_only, np.float64).mean((1, 2)), groups),
        "cost_per_class": None if labels is None else by_class,
        "cost_per_region": {
            region: _per_mode(cost[:, mask].mean(1), groups) if mask.any() else None
            for region, mask in region_masks(*cost.shape[1:3]).items()
        },
        "cost_map": cost.mean(0).tolist(),
        "dominant_map": scipy.stats.mode(dominant, axis=0).mode.tolist(),
        "overall_mode": overall,
        "overall_shares": overall_shares(error[rows], error_without, groups, study.seed),
        "costliest_on_average": int(cost.mean((0, 1, 2)).argmax()),
        "energy_rank": mean_figure(rank_correlation(flat, shares), groups),
    }
    if labels is not None and len(np.unique(labels)) > 1:
        share = np.stack([(dominant == k).mean((1, 2)) for k in range(cost.shape[-1])], 1)
        how = {"seed": study.seed, "n": study.n_permutations}
        observed, null, described = class_dependence(share, labels, groups, **how)
        p = permutation_p(observed, null, "greater", TIE * observed)
        result["share"] |= {"p": p, "null": described}
    return Measured({"modes": result}, values)


def costliest_modes(error: np.ndarray, error_without: np.ndarray) -> tuple[np.ndarray, int]:
    """Which mode's loss costs most in each patch, (A, gh, gw) int64, and which does overall.

    Overall is the mode that costs most in the greatest number of patches. Another takes a patch only if its
    loss costs more by over 1e-4 of the patch's mean error over the losses, and more than nothing.

    Args:
        error: (A, gh, gw). error_without: (A, gh, gw, D).
    """
    cost, other = _costs(error, error_without)
    overall = int(other.mean((0, 1, 2)).argmin())
    return np.where(other[..., overall], cost.argmax(-1), overall), overall


def _costs(error: np.ndarray, error_without: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What losing each mode costs (A, gh, gw, D), and whether another mode's loss costs more, bool."""
    without = np.asarray(error_without, np.float64)
    cost = without - np.asarray(error, np.float64)[..., None]
    most = cost.max(-1, keepdims=True)
    return cost, (most - cost > MARGIN * without.mean(-1, keepdims=True)) & (most > 0)


def overall_shares(error: np.ndarray, error_without: np.ndarray, groups: Groups, seed: int) -> list[float]:
    """How often each mode is the overall one when images (or groups) are drawn anew, D shares."""
    _, other = _costs(error, error_without)
    units, (images, modes) = Units.of(groups, len(other)), (len(other), other.shape[-1])
    of_unit = sums_by(other.reshape(images, -1, modes).sum(1).astype(np.float64), units.index, units.count)
    drawn = np.random.default_rng(seed).multinomial(units.count, [1 / units.count] * units.count, RESAMPLES)
    return (np.bincount((drawn @ of_unit).argmin(1), minlength=modes) / RESAMPLES).tolist()


def share_elsewhere(dominant: np.ndarray, overall: int) -> np.ndarray:
    """Share of each image's patches (A, gh, gw) whose mode is not the overall one, (A,) float64."""
    return (dominant != overall).mean((1, 2))


def class_dependence(
    share: np.ndarray, labels: np.ndarray, groups: Groups, seed: int, n: int
) -> tuple[float, np.ndarray, dict[str, Any]]:
    """How much of the variance of the modes' shares over images goes with class, and by chance.

    Args:
        share: (A, D), of each image's patches the share in which mode k costs most.

    Returns:
        The statistic; (n,) of it by chance, see :func:`exchangeable`; and the null as a figure has it, with
        ``r_squared``, between classes by total sum of squares over all modes. Where labels are shuffled the
        statistic is :func:`studentised`. Where groups hold several classes it is R squared, both sums within
        groups, and what varies from group to group is in the null. Shares that do not vary give 0.
    """
    y = np.unique(labels, return_inverse=True)[1]
    n_classes = int(y.max()) + 1
    chance = ClassNull.of(share, y, groups)
    if not chance.total > 1e-12 * share.size:
        null = np.zeros(n)
        described = {"mean": 0.0, "q95": 0.0, "of": "R squared of class", "observed": 0.0}
        return 0.0, null, described | chance.describe(null)

    def explained(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        return (np.square(sums) / counts[..., None]).sum((1, 2)) / chance.total

    r_squared = float(explained(*chance.observed(n_classes))[0])
    statistic, of = explained, "R squared of class"
    if chance.group is None:
        chance, statistic = studentised(chance, len(share))
        of = "distances of class means in standard errors, squared"
    observed = float(statistic(*chance.observed(n_classes))[0])
    null = np.concatenate([statistic(*batch) for batch in chance.draws(n_classes, n, seed)])
    described = {"mean": float(null.mean()), "q95": float(np.quantile(null, 0.95)), "of": of}
    described |= {"observed": observed, "r_squared": r_squared}
    return observed, null, described | chance.describe(null)


def studentised(
    chance: ClassNull, images: int
) -> tuple[ClassNull, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """The classes' distances from their centre, each by its own variance, as a statistic of shuffled labels.

    So that p holds where classes scatter unlike or groups are unlike in size (Chung and Romano 2013; Pauly,
    Brunner and Konietschke 2015).

    Returns:
        The null with what the variances need appended to its sums, and a function of those sums (B, C, ..)
        and counts (B, C): sum over classes of |m_c - centre|^2 / var_c, var_c the linearised variance of the
        mean m_c over images (groups), at least 1 % of what the images' own scatter gives; classes of one
        unit are left out.
    """
    modes, size = chance.sums.shape[1], chance.sizes[:, None]
    parts = (chance.sums, np.square(chance.sums).sum(1, keepdims=True), size * chance.sums, size**2)
    floor = 0.01 * chance.total / images**2

    def statistic(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
        mean = sums[..., :modes] / counts[..., None]
        squares, by_size, sizes = sums[..., modes], sums[..., modes + 1 : -1], sums[..., -1]
        own = squares - 2 * (mean * by_size).sum(-1) + np.square(mean).sum(-1) * sizes
        free = 1 - sizes / counts**2  # (G - 1) / G for units of one size
        variance = np.maximum(own, floor * sizes) / counts**2 / np.maximum(free, 1e-9)
        weight = np.where(free > 1e-9, 1 / variance, 0.0)
        total = np.maximum(weight.sum(1), np.finfo(float).tiny)
        centre = (weight[..., None] * mean).sum(1, keepdims=True) / total[:, None, None]
        return (weight * np.square(mean - centre).sum(-1)).sum(1)

    return replace(chance, sums=np.concatenate(parts, 1)), statistic


def _per_mode(values: np.ndarray, groups: Groups) -> list[dict[str, Any]]:
    return [mean_figure(column, groups) for column in values.T]
