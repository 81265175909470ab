"""Question 2: do classes differ in where the error lies, beyond what chance and selection give?"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from .resampling import LEVEL, exchangeable, figure, holm, permutation_p, shuffled_labels

N_SPLITS = 50  # each gives two estimates, one from either half
N_PERMUTATIONS = 9999
LEAST_UNITS = 4  # images, or groups, a class needs to be split and to have its noise estimated
BATCH_BYTES = 64_000_000


def class_structure(
    error: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    n_splits: int = N_SPLITS,
    n_permutations: int = N_PERMUTATIONS,
) -> dict[str, Any]:
    """Every figure of question 2.

    Args:
        error: (N, gh, gw). labels: (N,) int64. names: of the classes. groups: (N,) or None.

    Returns:
        ``min``: cosine of the most distant pair of classes, the pair chosen on one half of the images and
        its noise-corrected cosine estimated on the other, the verdict's figure, with the permutation
        ``p``, the shuffles' ``null`` and ``pairs`` (how often which pair was chosen). ``raw_min``: the
        seed protocol's. ``per_class``: the median of a class's cosines with the others (the larger middle
        one of an even number), so that a single odd class does not mark all, with its permutation p, also
        adjusted by Holm. ``left_out``: classes with too few images (or groups).
        Where fewer than two classes are left the figures' values are None and their method says why.

    Cost: O(N P) a split and O(C N P) a permutation in float32: 5 s for 2,000 images of 256 patches.
    """
    keep, kept = _measurable(labels, groups)
    left_out = [names[c] for c in np.unique(labels) if c not in kept]
    if len(kept) < 2:
        unit = "images" if groups is None else "groups of images"
        none = figure(None, None, len(error), f"fewer than two classes have {LEAST_UNITS} {unit}")
        return {"min": none, "raw_min": none, "per_class": {}, "left_out": left_out}
    x = np.asarray(error, np.float64).reshape(len(error), -1)[keep]
    y = np.searchsorted(kept, labels[keep])
    g = None if groups is None else np.unique(groups[keep], return_inverse=True)[1]
    chosen = [names[c] for c in kept]
    minimum = held_out_minimum(x, y, g, seed, n_splits)
    raw, against = _raw_cosines(_sums(x, y, len(kept))[None], np.bincount(y))
    null, null_against = permuted_cosines(x, y, g, seed, n_permutations)
    p = permutation_p(float(raw[0]), null, "less")
    of_null = {"mean": float(null.mean()), "q05": float(np.quantile(null, 0.05))}
    of_null |= {"shuffles": n_permutations, "shuffled": exchangeable(y, g), "of": "raw minimum cosine"}
    p_class = np.array([permutation_p(a, b, "less") for a, b in zip(against[0], null_against.T, strict=True)])
    per_class = {
        name: {"median_cosine": float(against[0, c]), "p": float(p_class[c]), "p_holm": float(adjusted)}
        for c, (name, adjusted) in enumerate(zip(chosen, holm(p_class), strict=True))
    }
    pairs = minimum.pop("pairs")
    minimum["pairs"] = [[chosen[a], chosen[b], share] for a, b, share in pairs]
    shared = {"p": p, "null": of_null}
    return {
        "min": minimum | shared,
        "raw_min": figure(float(raw[0]), None, len(x), "minimum over pairs, uncorrected") | shared,
        "per_class": per_class,
        "left_out": left_out,
    }


def held_out_minimum(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, seed: int, n_splits: int = N_SPLITS
) -> dict[str, Any]:
    """The most distant pair chosen on one half, its cosine estimated on the other, over repeated halves.

    The estimand is the expected noise-corrected cosine of the pair so chosen: at or above the true
    minimum, so a claim that it is small errs on the safe side. Its variance is the linearised one of the
    pairs' cosines in the weights they were chosen with, from whole-sample influences of images (or
    groups), plus the variance over those pairs of their cosines, the most that choosing another pair in
    another sample could add. Close to cosine 1 it is an overestimate, as the linear term then vanishes.

    Returns:
        A figure with ``pairs``: [class, class, share of the choices], most frequent first.
    """
    n_classes = int(y.max()) + 1
    rng = np.random.default_rng(seed)
    weights = np.zeros((n_classes, n_classes))
    held_out = []
    for _ in range(n_splits):
        first = _half(y, groups, rng)
        halves = [
            corrected_cosines(x[h], y[h], None if groups is None else groups[h], n_classes)
            for h in (first, ~first)
        ]
        for choose, estimate in (halves, halves[::-1]):
            a, b = _lowest(choose)
            if np.isfinite(estimate[a, b]):
                held_out.append(estimate[a, b])
                weights[a, b] += 1
    unit = "images" if groups is None else "groups of images"
    method = f"pair chosen on one half, estimated on the other, {n_splits} splits; Student t over {unit}"
    if not held_out:
        return figure(None, None, len(x), method) | {"pairs": []}
    weights /= weights.sum()
    influence = _influence(x, y, groups, weights)
    units = len(influence)
    variance = units / (units - 1) * np.square(influence - influence.mean()).sum()
    whole = corrected_cosines(x, y, groups, n_classes)[weights > 0]
    share = weights[weights > 0]
    variance += np.nansum(share * np.square(whole - np.nansum(share * whole)))
    value = float(np.mean(held_out))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, units - 1)) * math.sqrt(variance)
    order = np.argsort(-weights, axis=None)[: np.count_nonzero(weights)]
    pairs = [[*map(int, np.unravel_index(i, weights.shape)), float(weights.flat[i])] for i in order]
    return figure(value, (value - reach, value + reach), len(x), method) | {"pairs": pairs}


def corrected_cosines(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, n_classes: int) -> np.ndarray:
    """Cosines between class means with what the means' own noise does to them taken out, (C, C).

    To second order in the noise e of a mean a (unit vector u, the other's w, c = u.w), the raw cosine is
    off by E[-c (|e|^2 - (u.e)^2) / 2 - (w.e)(u.e) + c (u.e)^2] / |a|^2: noise across a mean makes it look
    turned, noise along it does nothing. The first part is undone by shortening the mean's length by its
    noise across, the second by addition. The noise's moments come from the residuals of images, or of
    groups where images depend on each other, and then also those of two classes that share groups. A
    class too small to estimate them, or no longer than its noise, gives NaN.
    """
    counts = np.bincount(y, minlength=n_classes)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = _sums(x, y, n_classes) / counts[:, None]
        length = np.linalg.norm(means, axis=1)
        unit = means / length[:, None]
        cosine = unit @ unit.T
        noise, owner, factor, starts = _noise_units(x, y, groups, means, counts, length)
        along = noise @ unit.T  # (units, C)
        squares = np.bincount(owner, np.einsum("ij,ij->i", noise, noise), n_classes) * factor
        own = along[np.arange(len(owner)), owner]
        turned = _sums(own[:, None] * along, owner, n_classes) * factor[:, None]  # E (u.e)(w.e), by w
        parallel = np.diag(turned)
        numerator = cosine + turned - cosine * parallel[:, None] + turned.T - cosine * parallel[None, :]
        if groups is not None:
            numerator = numerator - _shared_noise(noise, along, owner, starts, factor, cosine)
        across = 1 - (squares - parallel)
        across = np.sqrt(np.where(across > 0, across, np.nan))
        return numerator / np.outer(across, across)


def _noise_units(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray | None,
    means: np.ndarray,
    counts: np.ndarray,
    length: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What each independent unit of a class adds to the noise of its mean, over the mean's length.

    Returns:
        noise (units, P), owner (units,) its class, factor (C,) G/(G-1) for G units, and starts of each
        group's units (a group has one unit a class it holds), in order.
    """
    noise = (x - means[y]) / (counts * length)[y, None]
    owner, starts = y, np.arange(len(y) + 1)
    if groups is not None:
        cells, index = np.unique(groups * len(counts) + y, return_inverse=True)
        noise, owner = _sums(noise, index, len(cells)), cells % len(counts)
        starts = np.flatnonzero(np.r_[True, np.diff(cells // len(counts)) > 0, True])
    units = np.bincount(owner, minlength=len(counts)).astype(np.float64)
    return noise, owner, units / (units - 1), starts


def _shared_noise(
    noise: np.ndarray,
    along: np.ndarray,
    owner: np.ndarray,
    starts: np.ndarray,
    factor: np.ndarray,
    cosine: np.ndarray,
) -> np.ndarray:
    """Second-order effect on cosines (C, C) of noise that classes share through common groups.

    E[e_a.e_b - (u.e_a)(u.e_b) - (w.e_a)(w.e_b) + c (u.e_a)(w.e_b)], u and w the unit means of a and b.
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


def _influence(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """Each image's (or group's) first-order effect on the weighted mean of the pairs' cosines."""
    n_classes = len(weights)
    counts = np.bincount(y, minlength=n_classes)
    means = _sums(x, y, n_classes) / counts[:, None]
    length = np.maximum(np.linalg.norm(means, axis=1), np.finfo(float).tiny)
    cosine = means @ means.T / np.outer(length, length)
    both = weights + weights.T
    # d cos(a, b) / d mean_a = mean_b / (|a| |b|) - cos(a, b) mean_a / |a|^2
    gradient = (both / np.outer(length, length)) @ means
    gradient -= ((both * cosine).sum(1) / length**2)[:, None] * means
    effect = np.einsum("ij,ij->i", x - means[y], gradient[y]) / counts[y]
    return effect if groups is None else np.bincount(groups, effect)


def permuted_cosines(
    x: np.ndarray, y: np.ndarray, groups: np.ndarray | None, seed: int, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Raw minimum cosine (n,) and each class's median cosine (n, C) under shuffled labels.

    Class sums of a batch of shuffles are one float32 matrix product of indicators with the maps, which
    are shifted by their mean so that rounding stays far below the differences that matter.
    """
    n_classes = int(y.max()) + 1
    centre = x.mean(0)
    shifted = (x - centre).astype(np.float32)
    counts = np.bincount(y)
    batch = max(1, BATCH_BYTES // (4 * n_classes * len(y)))
    low, against = [], []
    for rows in shuffled_labels(y, groups, n, np.random.default_rng(seed), batch):
        indicator = (rows[:, None, :] == np.arange(n_classes)[:, None]).astype(np.float32)
        sums = (indicator.reshape(-1, len(y)) @ shifted).reshape(len(rows), n_classes, -1)
        a, b = _raw_cosines(sums + (counts[:, None] * centre), counts)
        low.append(a)
        against.append(b)
    return np.concatenate(low), np.concatenate(against)


def _raw_cosines(sums: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Minimum cosine over pairs (B,) and each class's median one (B, C) from class sums (B, C, P)."""
    n_classes = sums.shape[1]
    means = sums / counts[:, None]
    unit = means / np.maximum(np.linalg.norm(means, axis=-1, keepdims=True), 1e-12)
    a, b = np.triu_indices(n_classes, 1)
    cosines = (unit @ unit.transpose(0, 2, 1))[:, a, b]
    table = np.empty((len(sums), n_classes, n_classes - 1))
    for c in range(n_classes):
        table[:, c] = cosines[:, (a == c) | (b == c)]
    middle = (n_classes - 1) // 2
    return cosines.min(1), np.partition(table, middle, axis=2)[..., middle]


def _sums(x: np.ndarray, index: np.ndarray, n: int) -> np.ndarray:
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(n))
    out = np.zeros((n, x.shape[1]))
    here = np.bincount(index, minlength=n) > 0
    out[here] = np.add.reduceat(x[order], starts[here], axis=0)
    return out


def _measurable(labels: np.ndarray, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Mask of the images, and the classes, that have enough images, or groups, to be split in halves."""
    units = np.arange(len(labels)) if groups is None else groups
    pairs = np.unique(np.stack([labels, units]), axis=1)
    kept = np.flatnonzero(np.bincount(pairs[0]) >= LEAST_UNITS)
    return np.isin(labels, kept), kept


def _half(y: np.ndarray, groups: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """A random half of every class, (N,) bool; groups stay whole: half of each class's where a group is of
    one class, else half of all."""
    if groups is None:
        units, of_unit = np.arange(len(y)), y
    else:
        units, of_unit = groups, np.zeros(groups.max() + 1, np.int64)
        if exchangeable(y, groups) == "whole groups":
            of_unit[groups] = y
    order = np.lexsort((rng.random(len(of_unit)), of_unit))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    start = np.searchsorted(of_unit[order], of_unit)
    # A random start keeps an odd class from always giving its extra unit to the same half.
    return (((rank - start) + rng.integers(0, 2, of_unit.max() + 1)[of_unit]) % 2 == 0)[units]


def _lowest(cosines: np.ndarray) -> tuple[int, int]:
    upper = np.where(np.triu(np.ones_like(cosines, bool), 1) & np.isfinite(cosines), cosines, np.inf)
    a, b = np.unravel_index(upper.argmin(), upper.shape)
    return int(a), int(b)
