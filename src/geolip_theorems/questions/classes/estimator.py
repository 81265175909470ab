"""The difference of two models' held-out minimum cosines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...stats.estimators import Estimator, Kept, Paired
from ...stats.units import Groups, Units
from .measure import cosine_influence, stratified_variance


class HeldOutCosine(Estimator):
    """The cosine of the most distant pair of classes, the pair chosen on other images than it is measured on.

    It is no mean over images, so images have no influence of their own on it; two models' cosines are
    compared at the pairs that were chosen.
    """

    def influence(self, values: Sequence[np.ndarray]) -> None:
        """None, see the class."""

    def difference(self, first: Kept, second: Kept, units: Units) -> Paired | None:
        """See :func:`cosine_difference`; None without labels or the pairs that were chosen."""
        pairs = [side.figure.get("pairs") for side in (first, second)]
        if first.labels is None or not all(pairs):
            return None
        try:
            weights = [_weights(found, first.classes) for found in pairs]
        except (KeyError, TypeError, ValueError):
            return None
        maps = [side.values[0] * np.float64(side.values[1]) for side in (first, second)]
        difference = second.figure["value"] - first.figure["value"]
        sides = (maps[0], weights[0]), (maps[1], weights[1])
        return cosine_difference(*sides, difference, first.labels, units)


def cosine_difference(
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
    difference: float,
    labels: np.ndarray,
    groups: Groups = None,
) -> Paired:
    """Standard error of the difference of two held-out minimum cosines.

    Args:
        first, second: error maps (N, gh, gw) of a model and the weights (C, C) its pairs of classes were
            chosen with, see :func:`geolip_theorems.questions.classes.measure.held_out_minimum`.
        difference: of the two estimates, which rest on many splits and are not formed again here.
        labels: (N,) int64.

    The variance is that of the linearised difference at the pairs chosen, plus what choosing other pairs
    could add: the variance over pairs of the difference where both models chose the same, of either model's
    cosines for the share of the choices in which they did not.
    """
    flat = (
        (np.asarray(maps, np.float64).reshape(len(maps), -1), weights) for maps, weights in (first, second)
    )
    effects, cosines = zip(*(cosine_influence(x, labels, weights) for x, weights in flat), strict=True)
    wa, wb = first[1], second[1]
    both = np.minimum(wa, wb)
    variance = _spread(both, cosines[1] - cosines[0])
    variance += (1 - both.sum()) * (_spread(wa, cosines[0]) + _spread(wb, cosines[1]))
    influence, units = effects[1] - effects[0], Units.of(groups, len(labels))
    whole = Paired.of(difference, influence, units)
    if not units.enough:
        return whole
    linear, df = stratified_variance(influence, labels, units)
    return replace(whole, error=math.sqrt(max(linear + variance, 0.0)), df=df)


def _spread(weights: np.ndarray, values: np.ndarray) -> float:
    """Variance of values under weights that sum to one or less, times that sum."""
    total = weights.sum()
    if not total > 0:
        return 0.0
    mean = (weights * values).sum() / total
    return float((weights * np.square(values - mean)).sum())


def _weights(pairs: Any, classes: Sequence[str]) -> np.ndarray:
    """The share of the choices that fell on each pair of classes, (C, C)."""
    place = {name: i for i, name in enumerate(classes)}
    weights = np.zeros((len(classes), len(classes)))
    for a, b, share in pairs:
        weights[place[a], place[b]] = share
    return weights
