"""Differences between two models on the same images, by linearisation: an influence an image, then a unit.

An estimate's influence is what an image adds to it to first order, so a difference's is the difference of the
two models' influences, and what the images have in common cancels (Efron 1982, the infinitesimal jackknife).
Images of a group are one unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .probes import INFLATION
from .resampling import LEAST_UNITS, degrees_of_freedom, unit_factor
from .spatial import signed_root

NEAR_ZERO = 4  # standard errors


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
    return _paired(value, influence, groups, known, (_mean(a[np.isfinite(a)]), _mean(b[np.isfinite(b)])))


def ratio_difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Paired:
    """Ratio of the means of (N,) positive values less one: the change relative to the first model."""
    first, second = _mean(a), _mean(b)
    if not first > 0:
        return Paired(math.nan, math.nan, len(a), math.nan, (first, second))
    ratio = second / first
    influence = (b - ratio * a) / (first * len(a))
    return _paired(ratio - 1, influence, groups, np.ones(len(a), bool), (first, second))


def root_difference(a: np.ndarray, b: np.ndarray, groups: np.ndarray | None = None) -> Paired:
    """Difference of the signed roots of the means of (N,) squares, which may be below zero.

    A root has no derivative at 0. Within four standard errors of 0 twice the tangent's slope is taken, at one
    standard error where the mean is nearer still.
    """
    known = np.isfinite(a) & np.isfinite(b)
    a, b = a[known], b[known]
    parts = []
    for x in (a, b):
        mean = _mean(x)
        floor = _paired(mean, (x - mean) / max(len(x), 1), _rows(groups, known), None).error
        floor = floor if math.isfinite(floor) else 0.0
        size = max(abs(mean), floor)
        # Near 0 the tangent is too flat: over a standard error the root rises twice as much.
        slope = (1.0 if abs(mean) < NEAR_ZERO * floor else 0.5) / math.sqrt(size) if size > 0 else 0.0
        parts.append((float(signed_root(mean)), slope * (x - mean) / max(len(x), 1)))
    (first, of_first), (second, of_second) = parts
    return _paired(second - first, of_second - of_first, _rows(groups, known), None, (first, second))


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
    parts = [_paired(0.0, (row - row.mean()) / n, groups, None) for row in difference]
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
    effects, cosines = zip(*(_cosine_effect(x, w, labels) for x, w in (first, second)), strict=True)
    wa, wb = first[1], second[1]
    both = np.minimum(wa, wb)
    variance = _spread(both, cosines[1] - cosines[0])
    variance += (1 - both.sum()) * (_spread(wa, cosines[0]) + _spread(wb, cosines[1]))
    linear = _within_classes(difference, effects[1] - effects[0], labels, groups)
    return replace(linear, error=math.sqrt(max(linear.error**2 + variance, 0.0)))


def _within_classes(
    difference: float, influence: np.ndarray, labels: np.ndarray, groups: np.ndarray | None
) -> Paired:
    """The standard error with classes as strata, degrees of freedom by Welch and Satterthwaite.

    Groups that hold several classes are the units instead.
    """
    n_classes = int(labels.max()) + 1
    units = np.arange(len(labels)) if groups is None else groups
    whole = _paired(difference, influence, groups, None)
    cells, index = np.unique(units * n_classes + labels, return_inverse=True)
    if whole.units < LEAST_UNITS or (groups is not None and len(cells) > whole.units):
        return whole
    owner, images = cells % n_classes, np.bincount(index)
    sizes = np.bincount(owner, minlength=n_classes)
    parts = np.bincount(owner, np.square(np.bincount(index, influence)), n_classes)
    carry = np.flatnonzero((parts > 0) & (sizes > 1))
    parts = parts[carry] * np.array([unit_factor(images[owner == c]) for c in carry])
    df = np.array([degrees_of_freedom(images[owner == c]) for c in carry])
    variance = parts.sum()
    known = variance**2 / (np.square(parts) / df).sum() if variance > 0 else whole.df
    return replace(whole, error=math.sqrt(variance), df=float(known))


def _cosine_effect(
    error: np.ndarray, weights: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each image's effect on the weighted mean of the pairs' cosines, (N,), and the cosines, (C, C)."""
    x = np.asarray(error, np.float64).reshape(len(error), -1)
    counts = np.bincount(labels, minlength=len(weights))
    means = np.stack(
        [x[labels == c].mean(0) if counts[c] else np.ones(x.shape[1]) for c in range(len(weights))]
    )
    length = np.maximum(np.linalg.norm(means, axis=1), np.finfo(float).tiny)
    cosine = means @ means.T / np.outer(length, length)
    both = weights + weights.T
    # d cos(a, b) / d mean_a = mean_b / (|a| |b|) - cos(a, b) mean_a / |a|^2
    gradient = (both / np.outer(length, length)) @ means
    gradient -= ((both * cosine).sum(1) / length**2)[:, None] * means
    return np.einsum("ij,ij->i", x - means[labels], gradient[labels]) / counts[labels], cosine


def _spread(weights: np.ndarray, values: np.ndarray) -> float:
    """Variance of values under weights that sum to one or less, times that sum."""
    total = weights.sum()
    if not total > 0:
        return 0.0
    mean = (weights * values).sum() / total
    return float((weights * np.square(values - mean)).sum())


def _rows(groups: np.ndarray | None, known: np.ndarray) -> np.ndarray | None:
    return None if groups is None else groups[known]


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _paired(
    difference: float,
    influence: np.ndarray,
    groups: np.ndarray | None,
    known: np.ndarray | None,
    values: tuple[float, float] | None = None,
) -> Paired:
    """The standard error from images' influences, sums of which are taken over groups."""
    counts = np.ones(len(influence))
    if groups is not None:
        index = np.unique(groups if known is None else groups[known], return_inverse=True)[1]
        influence, counts = np.bincount(index, influence), np.bincount(index).astype(np.float64)
    units = len(influence)
    if units < LEAST_UNITS:
        return Paired(difference, math.nan, units, math.nan, values)
    variance = unit_factor(counts) * np.square(influence).sum()
    return Paired(difference, math.sqrt(variance), units, degrees_of_freedom(counts), values)
