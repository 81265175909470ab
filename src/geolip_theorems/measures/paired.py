"""Differences between two models on the same images, by linearisation: an influence an image, then a unit.

An estimate's influence is what an image adds to it to first order, so a difference's is the difference of the
two models' influences, and what the images have in common cancels (Efron 1982, the infinitesimal jackknife).
Images of a group are one unit. Roots, which bend near 0, are taken along secants.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .classes import cosine_influence, stratified_variance
from .probes import INFLATION
from .resampling import LEAST_UNITS, degrees_of_freedom, unit_factor
from .spatial import signed_root

REACHES = (2, 3)  # standard errors: half-widths of a single interval and of one of a family
_ANGLES = np.linspace(0, 2 * np.pi, 64, endpoint=False)
DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)


@dataclass(frozen=True)
class Paired:
    """A difference, second model less first.

    Attributes:
        difference: in the figure's unit; of a ratio, relative to the first.
        error: its standard error; NaN where fewer than six units carry it.
        units: images, or groups of images, it rests on.
        df: degrees of freedom of the standard error.
        values: the figure of either model from these images, or None where it is not formed here.
    """

    difference: float
    error: float
    units: int
    df: float
    values: tuple[float, float] | None = None


def mean_difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Paired:
    """Difference of the means of (N,) values; images without a value in either are left out."""
    known = np.isfinite(a) & np.isfinite(b)
    difference = (b - a)[known]
    value = _mean(difference)
    influence = (difference - value) / max(len(difference), 1)
    groups = None if groups is None else groups[known]
    return _paired(value, influence, groups, (_mean(a[np.isfinite(a)]), _mean(b[np.isfinite(b)])))


def ratio_difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Paired:
    """Ratio of the means of (N,) positive values less one: the change relative to the first model."""
    first, second = _mean(a), _mean(b)
    if not first > 0:
        return Paired(math.nan, math.nan, len(a), math.nan, (first, second))
    ratio = second / first
    influence = (b - ratio * a) / (first * len(a))
    return _paired(ratio - 1, influence, groups, (first, second))


def root_difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Paired:
    """Difference of the signed roots of the means of (N,) squares, which may be below zero.

    A root has no tangent at 0, and two models that are alike may move along it together: how far they are
    apart then depends on where they are. So the standard error is the steepest secant, the greatest change
    of the difference on the ellipses of two and of three standard errors about the two means, a standard
    error. Far from 0 that is the tangent's.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    values = float(signed_root(_mean(a))), float(signed_root(_mean(b)))
    # The first mean and the step to the second: a model against itself has a step of exactly 0.
    mean, step = _mean(a), _mean(b - a)
    influence = np.stack([a - mean, b - a - step], 1) / max(len(a), 1)
    sums, counts = _by_unit(influence, None if groups is None else groups[known])
    if len(sums) < LEAST_UNITS:
        return Paired(values[1] - values[0], math.nan, len(sums), math.nan, values)
    axes = math.sqrt(unit_factor(counts)) * np.linalg.qr(sums, mode="r")

    def difference(x: np.ndarray) -> np.ndarray:
        return signed_root(x[..., 0] + x[..., 1]) - signed_root(x[..., 0])

    centre = np.array([mean, step])
    secants = [
        np.abs(difference(centre + reach * DIRECTIONS @ axes) - difference(centre)).max() / reach
        for reach in REACHES
    ]
    return Paired(values[1] - values[0], float(max(secants)), len(sums), degrees_of_freedom(counts), values)


def hits_difference(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], groups: np.ndarray | None = None
) -> Paired:
    """Difference of accuracies, or of lifts where two probes are given each, (R, N) hits on the same folds.

    As in :func:`geolip_theorems.measures.probes.influence_of`, the standard error is that of one repeat,
    root mean square over the repeats, times the inflation that cross-validation needs.
    """
    a, b = (
        np.asarray(x[0], float) - (np.asarray(x[1], float) if len(x) > 1 else 0.0) for x in (first, second)
    )
    difference = b - a
    value = float(difference.mean())
    n = difference.shape[1]
    parts = [_paired(0.0, (row - row.mean()) / n, groups) for row in difference]
    error = INFLATION * math.sqrt(np.mean([part.error**2 for part in parts]))
    return Paired(value, error, parts[0].units, parts[0].df, (float(a.mean()), float(b.mean())))


def cosine_difference(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    difference: float,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
) -> Paired:
    """Standard error of the difference of two held-out minimum cosines.

    Args:
        first, second: error maps (N, gh, gw) of a model and the weights (C, C) its pairs of classes were
            chosen with, see :func:`geolip_theorems.measures.classes.held_out_minimum`.
        difference: of the two estimates, which rest on many splits and are not formed again here.
        labels: (N,) int64.

    The variance is that of the linearised difference at the pairs chosen, plus what choosing other pairs
    could add: the variance over pairs of the difference where both models chose the same, of either model's
    cosines for the share of the choices in which they did not.
    """
    effects, cosines = zip(
        *(cosine_influence(_flat(x), labels, weights) for x, weights in (first, second)), strict=True
    )
    wa, wb = first[1], second[1]
    both = np.minimum(wa, wb)
    variance = _spread(both, cosines[1] - cosines[0])
    variance += (1 - both.sum()) * (_spread(wa, cosines[0]) + _spread(wb, cosines[1]))
    influence = effects[1] - effects[0]
    whole = _paired(difference, influence, groups)
    if whole.units < LEAST_UNITS:
        return whole
    linear, df = stratified_variance(influence, labels, groups)
    return replace(whole, error=math.sqrt(max(linear + variance, 0.0)), df=df)


def _spread(weights: np.ndarray, values: np.ndarray) -> float:
    """Variance of values under weights that sum to one or less, times that sum."""
    total = weights.sum()
    if not total > 0:
        return 0.0
    mean = (weights * values).sum() / total
    return float((weights * np.square(values - mean)).sum())


def _flat(maps: np.ndarray) -> np.ndarray:
    return np.asarray(maps, np.float64).reshape(len(maps), -1)


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _paired(
    difference: float,
    influence: np.ndarray,
    groups: np.ndarray | None,
    values: tuple[float, float] | None = None,
) -> Paired:
    """The standard error from images' influences, sums of which are taken over groups."""
    sums, counts = _by_unit(influence, groups)
    units = len(sums)
    if units < LEAST_UNITS:
        return Paired(difference, math.nan, units, math.nan, values)
    variance = unit_factor(counts) * np.square(sums).sum()
    return Paired(difference, math.sqrt(variance), units, degrees_of_freedom(counts), values)


def _by_unit(influence: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Sums of influences, (N,) or (N, 2), over the images of each group, and the groups' sizes."""
    if groups is None:
        return influence, np.ones(len(influence))
    index, counts = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    sums = np.zeros((len(counts), *influence.shape[1:]))
    np.add.at(sums, index, influence)
    return sums, counts.astype(np.float64)
