"""Question 2: do classes differ in where the error lies, beyond what chance and selection give?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...stats.class_null import ClassNull, exchangeable, sums_by
from ...stats.figure import figure
from ...stats.grids import NO_ERROR, near_one, over
from ...stats.intervals import holm, permutation_p
from ...stats.units import Groups, Units, degrees_of_freedom, student_reach, unit_factor
from ..base import Measured
from ..study import Study

N_SPLITS = 50  # each gives two estimates, one from either half
LEAST_UNITS = 4  # images, or groups, a class needs to be split and to have its noise estimated
LEAST_LENGTH = 1e-150  # of a mean map; its square is a number above 0
TIE = 1e-5  # of what a cosine is below 1: class sums of shuffles are float32


def measure(study: Study, n_splits: int = N_SPLITS) -> Measured:
    """Figures of question 2 under ``class_cosine``, None where there are not two classes.

    Values: ``error_map`` (N, gh, gw) float16 in units of ``error_map_scale`` () float64, the largest error,
    so rounding is 0.05 %.

    ``min``: see :func:`held_out_minimum`, the verdict's, with the permutation ``p`` and ``null``.
    ``raw_min``: the script's. ``per_class``: for each a figure, the mean of its noise-corrected cosines with
    the others; its ``p``, also adjusted by Holm, is of ``median_cosine``, the median of its raw cosines (the
    larger middle one of an even number). ``left_out``: classes with too few images (or groups). Where fewer
    than two are left values are None and their method says why.

    Cost: O(N P) a split and O(C N P) a permutation in float32: 5 s for 2,000 images of 256 patches.
    """
    error = np.asarray(study.maps.error, np.float64)
    scale = float(error.max()) or 1.0
    values = {"error_map": (error / scale).astype(np.float16), "error_map_scale": np.array(scale)}
    found = _class_cosines(error, study, n_splits) if study.several_classes else None
    return Measured({"class_cosine": found}, values)


def _class_cosines(error: np.ndarray, study: Study, n_splits: int) -> dict[str, Any]:
    labels, names, units, seed = study.labels, study.names, study.units, study.seed
    keep, kept = _measurable(labels, units)
    left_out = [names[c] for c in np.unique(labels) if c not in kept]
    few, x = len(kept) < 2, error.reshape(len(error), -1)[keep]
    if few or not x.any():
        why = f"fewer than two classes have {LEAST_UNITS} {units.name}" if few else NO_ERROR
        none = figure(None, None, len(error) if few else len(x), why)
        return {"min": none, "raw_min": none, "per_class": {}, "left_out": left_out}
    x = near_one(x)
    y = np.searchsorted(kept, labels[keep])
    g = units.take(keep)
    chosen = [names[c] for c in kept]
    null = shuffled_cosines(x, y, g, seed, study.n_permutations)
    p = permutation_p(null["minimum"], null["minima"], "less", TIE * (1 - null["minimum"]))
    shared = {"p": p, "null": null["described"]}
    minimum = held_out_minimum(x, y, g, seed, n_splits)
    minimum["pairs"] = [[chosen[a], chosen[b], share] for a, b, share in minimum["pairs"]]
    means = sums_by(x, y, len(kept)) / np.bincount(y)[:, None]
    raw = float(raw_cosines(means[None])[0][0])
    method = "minimum over pairs; no interval: noise and choice bias a bootstrap of a minimum, see min"
    return {
        "min": minimum | shared,
        "raw_min": figure(raw, None, len(x), method) | shared,
        "per_class": _class_figures(x, y, g, chosen, null),
        "left_out": left_out,
    }


def _class_figures(
    x: np.ndarray, y: np.ndarray, g: Units, names: Sequence[str], null: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Each class's mean cosine with the others, its interval, and the p of its median cosine."""
    n_classes = len(names)
    cosines = corrected_cosines(x, y, g, n_classes)
    medians = zip(null["medians"], null["shuffled_medians"].T, strict=True)
    ps = np.array([permutation_p(own, drawn, "less", TIE * (1 - own)) for own, drawn in medians])
    found = {}
    for c, (name, adjusted) in enumerate(zip(names, holm(ps), strict=True)):
        weights = np.zeros((n_classes, n_classes))
        weights[c] = 1 / (n_classes - 1)
        weights[c, c] = 0
        value = float(np.delete(cosines[c], c).mean())
        ci, method = linearised_interval(x, y, g, weights, value)
        entry = figure(value, ci, int((y == c).sum()), f"mean of corrected cosines; {method}")
        entry |= {"median_cosine": float(null["medians"][c]), "p": float(ps[c]), "p_holm": float(adjusted)}
        found[name] = entry
    return found


def held_out_minimum(
    x: np.ndarray, y: np.ndarray, groups: Groups, seed: int, n_splits: int = N_SPLITS
) -> dict[str, Any]:
    """The most distant pair chosen on one half, its cosine estimated on the other, over repeated halves.

    The estimand is the expected noise-corrected cosine of the pair so chosen: at or above the true minimum.
    Its variance is the linearised one of the pairs' cosines in the weights they were chosen with, plus the
    variance over those pairs of their cosines, the most that choosing another pair could add.

    Returns:
        A figure with ``pairs``: [class, class, share of the choices], most frequent first.
    """
    units, n_classes = Units.of(groups, len(y)), int(y.max()) + 1
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_classes, n_classes))
    held_out = []
    for _ in range(n_splits):
        first = _half(y, units, rng)
        halves = [corrected_cosines(x[h], y[h], units.take(h), n_classes) for h in (first, ~first)]
        for choose, estimate in (halves, halves[::-1]):
            a, b = _lowest(choose)
            if a != b and np.isfinite(estimate[a, b]):
                held_out.append(estimate[a, b])
                weights[a, b] += 1
    method = f"pair chosen on one half, estimated on the other, {n_splits} splits"
    if not held_out:
        return figure(None, None, len(x), method) | {"pairs": []}
    weights /= weights.sum()
    whole = corrected_cosines(x, y, groups, n_classes)[weights > 0]
    share = weights[weights > 0]
    choice = float(np.nansum(share * np.square(whole - np.nansum(share * whole))))
    value = float(np.mean(held_out))
    ci, how = linearised_interval(x, y, groups, weights, value, choice)
    order = np.argsort(-weights, axis=None)[: np.count_nonzero(weights)]
    pairs = [[*map(int, np.unravel_index(i, weights.shape)), float(weights.flat[i])] for i in order]
    return figure(value, ci, len(x), f"{method}; {how}") | {"pairs": pairs}


def linearised_interval(
    x: np.ndarray,
    y: np.ndarray,
    groups: Groups,
    weights: np.ndarray,
    value: float,
    more: float = 0.0,
) -> tuple[tuple[float, float] | None, str]:
    """Student's interval of a weighted mean of pairs' cosines, and its method; :func:`stratified_variance`.

    Args:
        weights: (C, C) of the pairs. value: the estimate. more: variance to add.
    """
    units = Units.of(groups, len(y))
    if units.grouped and not units.enough:
        return None, units.too_few
    variance, df = stratified_variance(cosine_influence(x, y, weights)[0], y, units)
    reach = student_reach(df) * math.sqrt(variance + more)
    return (value - reach, value + reach), f"Student t over {units.name}, {df:.0f} degrees of freedom"


def stratified_variance(effect: np.ndarray, y: np.ndarray, groups: Groups) -> tuple[float, float]:
    """Variance of the sum of images' effects (N,), classes as strata, and its degrees of freedom.

    These are Welch and Satterthwaite's over the classes; a class of one unit adds nothing. Where groups hold
    several classes the groups are the units of the variance, and the degrees of freedom are at most theirs.
    """
    n_classes = int(y.max()) + 1
    unit = Units.of(groups, len(y)).index
    cells, index, images = np.unique(unit * n_classes + y, return_inverse=True, return_counts=True)
    owner, sums = cells % n_classes, np.bincount(index, effect)
    of_class = [owner == c for c in np.unique(owner)]
    sizes = [images[cell] for cell in of_class if cell.sum() > 1]
    squares = [np.square(sums[cell]).sum() for cell in of_class if cell.sum() > 1]
    parts = np.array([unit_factor(n) * square for n, square in zip(sizes, squares, strict=True)])
    known = np.array([degrees_of_freedom(n) for n in sizes])
    variance, least = float(parts.sum()), float((np.square(parts) / known).sum())
    df = variance**2 / least if least > 0 else float(known.min(initial=len(y)))
    home = np.unique(cells // n_classes, return_inverse=True)[1]
    if home[-1] + 1 < len(cells):
        of_group = np.bincount(home, images)
        variance = unit_factor(of_group) * np.square(np.bincount(home, sums)).sum()
        df = min(df, degrees_of_freedom(of_group))
    return float(variance), df


def corrected_cosines(x: np.ndarray, y: np.ndarray, groups: Groups, n_classes: int) -> np.ndarray:
    """Cosines between class means with what the means' own noise does to them taken out, (C, C).

    To second order in the noise e of a mean a (unit vector u, the other's w, c = u.w), the raw cosine is
    off by E[-c (|e|^2 - (u.e)^2) / 2 - (w.e)(u.e) + c (u.e)^2] / |a|^2: noise across a mean makes it look
    turned, noise along it does nothing. The first part is undone by shortening the mean's length by its
    noise across, the second by addition. The moments come from the residuals of images (groups). A class too
    small to estimate them, or no longer than its noise, gives NaN.
    """
    counts, units = np.bincount(y, minlength=n_classes), Units.of(groups, len(y))
    with np.errstate(invalid="ignore", divide="ignore"):
        means = sums_by(x, y, n_classes) / counts[:, None]
        length = np.linalg.norm(means, axis=1)
        unit = means / length[:, None]
        cosine = unit @ unit.T
        noise, owner, starts, sizes = (x - means[y]) / (counts * length)[y, None], y, None, np.ones(len(y))
        if units.grouped:  # a group has one unit per class it holds
            cells, index, sizes = np.unique(
                units.index * n_classes + y, return_inverse=True, return_counts=True
            )
            noise, owner = sums_by(noise, index, len(cells)), cells % n_classes
            starts = np.flatnonzero(np.r_[True, np.diff(cells // n_classes) > 0, True])
        of_class = [sizes[owner == c] for c in range(n_classes)]
        factor = np.array([unit_factor(own) if len(own) else np.nan for own in of_class])
        along = noise @ unit.T  # (units, C)
        squares = np.bincount(owner, np.einsum("ij,ij->i", noise, noise), n_classes) * factor
        own = along[np.arange(len(owner)), owner]
        turned = sums_by(own[:, None] * along, owner, n_classes) * factor[:, None]  # E (u.e)(w.e), by w
        parallel = np.diag(turned)
        numerator = cosine + turned - cosine * parallel[:, None] + turned.T - cosine * parallel[None, :]
        if units.grouped:
            numerator = numerator - _shared_noise(noise, along, owner, starts, factor, cosine)
        across = 1 - (squares - parallel)
        across = np.sqrt(np.where(across > 0, across, np.nan))
        return numerator / np.outer(across, across)


def _shared_noise(
    noise: np.ndarray,
    along: np.ndarray,
    owner: np.ndarray,
    starts: np.ndarray,
    factor: np.ndarray,
    cosine: np.ndarray,
) -> np.ndarray:
    """Second-order effect on cosines (C, C) of noise that classes share through common groups.

    E[e_a.e_b - (u.e_a)(u.e_b) - (w.e_a)(w.e_b) + c (u.e_a)(w.e_b)], u and w the unit means of a and b. A
    group's units of ``noise`` (units, P) lie from one of ``starts`` to the next.
    """
    out = np.zeros_like(cosine)
    own = along[np.arange(len(owner)), owner]
    for low, high in itertools.pairwise(starts):
        o, e, a = owner[low:high], noise[low:high], along[low:high][:, owner[low:high]]
        u = own[low:high]
        # a[i, j] is the noise of class i along the mean of class j
        shared = e @ e.T - u[:, None] * a.T - a * u[None, :] + cosine[np.ix_(o, o)] * np.outer(u, u)
        out[np.ix_(o, o)] += shared
    np.fill_diagonal(out, 0)
    return out * np.sqrt(np.outer(factor, factor))


def cosine_influence(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each image's first-order effect on the weighted mean of the pairs' cosines (N,), and these (C, C)."""
    n_classes = len(weights)
    counts = np.maximum(np.bincount(y, minlength=n_classes), 1)
    means = sums_by(x, y, n_classes) / counts[:, None]
    length = np.maximum(np.linalg.norm(means, axis=1), LEAST_LENGTH)
    cosine = means @ means.T / np.outer(length, length)
    both = weights + weights.T
    # d cos(a, b) / d mean_a = mean_b / (|a| |b|) - cos(a, b) mean_a / |a|^2
    gradient = (both / np.outer(length, length)) @ means
    gradient -= ((both * cosine).sum(1) / length**2)[:, None] * means
    return np.einsum("ij,ij->i", x - means[y], gradient[y]) / counts[y], cosine


def shuffled_cosines(x: np.ndarray, y: np.ndarray, groups: Groups, seed: int, n: int) -> dict[str, Any]:
    """Raw minimum cosine and each class's median cosine, as they are and by chance.

    Where groups hold several classes (:func:`exchangeable`) a class mean is the mean map plus what the
    class differs by within its groups.

    Returns:
        ``minimum``, ``medians`` (C,) of the classes, ``minima`` (n,), ``shuffled_medians`` (n, C), and
        ``described``: the null as a figure has it.
    """
    n_classes, centre = int(y.max()) + 1, x.mean(0)
    chance = ClassNull.of(x, y, groups)

    def cosines(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return raw_cosines(centre + sums / counts[..., None])

    low, medians = cosines(*chance.observed(n_classes))
    drawn = [cosines(*batch) for batch in chance.draws(n_classes, n, seed)]
    minima, shuffled = (np.concatenate(part) for part in zip(*drawn, strict=True))
    described = {"mean": float(minima.mean()), "q05": float(np.quantile(minima, 0.05))}
    described |= {"of": "raw minimum cosine", "observed": float(low[0])}
    found = {"minimum": float(low[0]), "medians": medians[0], "minima": minima, "shuffled_medians": shuffled}
    return found | {"described": described | chance.describe(minima, even=False)}


def raw_cosines(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimum cosine over pairs (B,) and each class's median one (B, C) of class means (B, C, P)."""
    n_classes = means.shape[1]
    unit = over(means, np.linalg.norm(means, axis=-1, keepdims=True))
    a, b = np.triu_indices(n_classes, 1)
    cosines = (unit @ unit.transpose(0, 2, 1))[:, a, b]
    table = np.empty((len(means), n_classes, n_classes - 1))
    for c in range(n_classes):
        table[:, c] = cosines[:, (a == c) | (b == c)]
    middle = (n_classes - 1) // 2
    return cosines.min(1), np.partition(table, middle, axis=2)[..., middle]


def _measurable(labels: np.ndarray, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the images, and the classes, that have enough images, or groups, to be split in halves."""
    pairs = np.unique(np.stack([labels, units.index]), axis=1)
    kept = np.flatnonzero(np.bincount(pairs[0]) >= LEAST_UNITS)
    return np.isin(labels, kept), kept


def _half(y: np.ndarray, units: Units, rng: np.random.Generator) -> np.ndarray:
    """A random half of every class, (N,) bool; groups stay whole: half of each class's where a group is of
    one class, else half of all."""
    of_unit = y
    if units.grouped:
        of_unit = np.zeros(units.count, np.int64)
        if exchangeable(y, units) == "labels of groups":
            of_unit[units.index] = y
    order = np.lexsort((rng.random(len(of_unit)), of_unit))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    start = np.searchsorted(of_unit[order], of_unit)
    # A random start keeps an odd class from always giving its extra unit to the same half.
    return (((rank - start) + rng.integers(0, 2, of_unit.max() + 1)[of_unit]) % 2 == 0)[units.index]


def _lowest(cosines: np.ndarray) -> tuple[int, int]:
    """The pair of least cosine; (0, 0) where none is known."""
    upper = np.where(np.triu(np.ones_like(cosines, bool), 1) & np.isfinite(cosines), cosines, np.inf)
    a, b = np.unravel_index(upper.argmin(), upper.shape)
    return int(a), int(b)
