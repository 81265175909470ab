"""Estimators: how a figure comes from what single images contribute, and how two models' figures differ.

An image's influence is what it adds to an estimate to first order; a difference's is the difference of two
models' influences, in which what the images have in common cancels (Efron 1982, infinitesimal jackknife).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .figure import Figure, figure
from .intervals import mean_figure, share_figure
from .units import Groups, Units

STEADY_UNITS, STEADY = 10, 0.87  # from so many units on, this part of the corrected factor is enough
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
    """

    difference: float
    error: float
    units: int
    df: float

    @classmethod
    def of(cls, difference: float, influence: np.ndarray, units: Units) -> Paired:
        """The standard error from images' influences (N,), sums of which are taken over units."""
        if not units.enough:
            return cls(difference, math.nan, units.count, math.nan)
        variance = units.factor * np.square(units.sums(influence)).sum()
        return cls(difference, math.sqrt(variance), units.count, units.df)


@dataclass(frozen=True)
class Kept:
    """What a run keeps of one subject for one metric.

    Attributes:
        values: the metric's arrays, in the order it names them.
        figure: the metric's figure.
        labels, classes: of the images, None and empty where they have none.
    """

    values: tuple[np.ndarray, ...]
    figure: Figure
    labels: np.ndarray | None = None
    classes: Sequence[str] = ()


class Estimator:
    """How a figure comes from images.

    Attributes:
        relative: differences are relative to the first model.
        cross_validated: the values come from the run's probe.
    """

    relative = False
    cross_validated = False

    def inflation(self, units: int) -> float:
        """Factor on the standard error that the influences of so many images (groups) give."""
        return 1.0

    def influence(self, values: Sequence[np.ndarray]) -> np.ndarray | None:
        """(R, N) what images add to the figure, R repeats; NaN for an image without a part in it.

        Only differences between images count, so a constant may be missing. None where the figure is no
        function of single images.
        """
        return np.asarray(values[0], np.float64)[None]

    def difference(self, first: Kept, second: Kept, units: Units) -> Paired | None:
        """Second less first, paired by image; None where the two do not fit each other."""
        a, b = (np.asarray(side.values[0], np.float64) for side in (first, second))
        return self.paired(a, b, units) if a.shape == b.shape else None

    def paired(self, a: np.ndarray, b: np.ndarray, groups: Groups = None) -> Paired:
        """The same of arrays."""
        raise NotImplementedError


class Mean(Estimator):
    """The mean over images of one number per image."""

    def figure(self, values: np.ndarray, groups: Groups = None) -> Figure:
        return mean_figure(values, groups)

    def paired(self, a: np.ndarray, b: np.ndarray, groups: Groups = None) -> Paired:
        """Difference of the means of (N,) values; images without a value in either are left out."""
        known = np.isfinite(a) & np.isfinite(b)
        difference = (b - a)[known]
        value = _mean(difference)
        influence = (difference - value) / max(len(difference), 1)
        return Paired.of(value, influence, Units.of(groups, len(a)).take(known))


class Share(Mean):
    """The mean of a share per image, inside 0 to 1."""

    def figure(self, values: np.ndarray, groups: Groups = None) -> Figure:
        return share_figure(values, groups)


class RelativeMean(Mean):
    """The mean of one positive number per image, compared by ratio."""

    relative = True

    def paired(self, a: np.ndarray, b: np.ndarray, groups: Groups = None) -> Paired:
        """Ratio of the means of (N,) positive values less one: the change relative to the first model."""
        first, second = _mean(a), _mean(b)
        if not first > 0:
            return Paired(math.nan, math.nan, len(a), math.nan)
        ratio = second / first
        return Paired.of(ratio - 1, (b - ratio * a) / (first * len(a)), Units.of(groups, len(a)))


class RootMeanSquare(Estimator):
    """The signed root of the mean of one square per image, which may be estimated below zero."""

    def figure(self, values: np.ndarray, groups: Groups = None) -> Figure:
        """The mean square's figure turned into that of its root; the interval's ends turn with it."""
        squared = mean_figure(values, groups)
        value, ci = squared["value"], squared["ci95"]
        ends = None if ci is None else [signed_root(end) for end in ci]
        method = f"signed root of the mean square; {squared['method']}"
        return figure(None if value is None else signed_root(value), ends, squared["n"], method)

    def influence(self, values: Sequence[np.ndarray]) -> np.ndarray:
        """Linearised. A root has no derivative at 0: where the mean is within its standard error of 0 the
        slope is that at one standard error.
        """
        squared = np.asarray(values[0], np.float64)
        known = squared[np.isfinite(squared)]
        size = max(abs(known.mean()), known.std() / math.sqrt(len(known))) if len(known) else 0.0
        return (squared * (0.5 / math.sqrt(size) if size > 0 else 0.0))[None]

    def paired(self, a: np.ndarray, b: np.ndarray, groups: Groups = None) -> Paired:
        """Difference of the signed roots of the means of (N,) squares.

        A root has no tangent at 0, and two models that are alike may move along it together. So the standard
        error is the steepest secant: the greatest change of the difference on the ellipses of two and of
        three standard errors about the two means, a standard error. Far from 0 that is the tangent's.
        """
        known = np.isfinite(a) & np.isfinite(b)
        units, a, b = Units.of(groups, len(a)).take(known), a[known], b[known]
        value = float(signed_root(_mean(b))) - float(signed_root(_mean(a)))
        # The first mean and the step to the second: a model against itself has a step of exactly 0.
        mean, step = _mean(a), _mean(b - a)
        influence = np.stack([a - mean, b - a - step], 1) / max(len(a), 1)
        if not units.enough:
            return Paired(value, math.nan, units.count, math.nan)
        axes = math.sqrt(units.factor) * np.linalg.qr(units.sums(influence), mode="r")

        def difference(x: np.ndarray) -> np.ndarray:
            return signed_root(x[..., 0] + x[..., 1]) - signed_root(x[..., 0])

        centre = np.array([mean, step])
        secants = [
            np.abs(difference(centre + reach * DIRECTIONS @ axes) - difference(centre)).max() / reach
            for reach in REACHES
        ]
        return Paired(value, float(max(secants)), units.count, units.df)


def inflation(units: int, n_folds: int = 5, repeats: int = 2) -> float:
    """Factor on the standard error that the hits of one repeat give for the mean over repeats.

    Folds share most of their training images. The corrected resampled variance of R x K folds is (1 / (R K)
    + 1 / (K - 1)) times a fold's (Nadeau and Bengio 2003; Bouckaert and Frank 2004), which is K times that
    of the mean over all images. With ten images (groups) or more 0.87 of its root covers: see
    docs/calibration.md.
    """
    return math.sqrt(1 / repeats + n_folds / (n_folds - 1)) * (1 if units < STEADY_UNITS else STEADY)


class Accuracy(Estimator):
    """The mean of out-of-fold hits (R, N); or, of two probes on the same folds, of their difference."""

    cross_validated = True

    def inflation(self, units: int) -> float:
        return inflation(units)

    def influence(self, values: Sequence[np.ndarray]) -> np.ndarray:
        first, *others = (np.asarray(hits, np.float64) for hits in values)
        return first - others[0] if others else first

    def difference(self, first: Kept, second: Kept, units: Units) -> Paired | None:
        """The standard error is that of one repeat, root mean square over the repeats, inflated."""
        if len({hits.shape for side in (first, second) for hits in side.values}) > 1:
            return None
        return self.paired(self.influence(first.values), self.influence(second.values), units)

    def paired(self, a: np.ndarray, b: np.ndarray, groups: Groups = None) -> Paired:
        """Difference of the means of (R, N) values."""
        difference = b - a
        n = difference.shape[1]
        units = Units.of(groups, n)
        parts = [Paired.of(0.0, (row - row.mean()) / n, units) for row in difference]
        error = self.inflation(units.count) * math.sqrt(np.mean([part.error**2 for part in parts]))
        return Paired(float(difference.mean()), error, parts[0].units, parts[0].df)


def influence_of(values: np.ndarray, groups: Groups, n_folds: int = 5) -> tuple[float, np.ndarray, float]:
    """Mean of (R, N) values, the influence of each unit, and the mean's standard error.

    The standard error is that of a single repeat (root mean square over the repeats) times
    :func:`inflation`.
    """
    units = Units.of(groups, values.shape[1])
    residual = np.stack([np.bincount(units.index, row - row.mean()) for row in values])
    variance = units.factor * np.square(residual).sum(1).mean() / values.shape[1] ** 2
    error = inflation(units.count, n_folds, len(values)) * math.sqrt(variance)
    return float(values.mean()), residual.mean(0), error


def signed_root(x: np.ndarray | float) -> np.ndarray:
    """sign(x) sqrt(|x|): the root of an estimated square that may be below zero."""
    return np.sign(x) * np.sqrt(np.abs(x))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan
