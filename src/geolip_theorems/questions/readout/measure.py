"""Questions 4 and 5: what the maps tell about the class, and what each adds to another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Set
from typing import Any

import numpy as np
import scipy

from ...io.errors import unknown
from ...probes import PROBES
from ...probes.conv import conv_cross_validated
from ...probes.features import FeatureGroups, feature_grids
from ...probes.nested import N_FOLDS, Predictions, cross_validated, too_few
from ...probes.signals import ALL, BEST, COMBINATIONS, LIFTS, PARTS, SIGNALS, missing_probes
from ...stats.class_null import sums_by
from ...stats.decisions import POWER
from ...stats.estimators import influence_of
from ...stats.figure import LEVEL, Figure, figure
from ...stats.intervals import simultaneous_reach
from ...stats.units import Groups, Units
from ..base import Measured
from ..study import Study

REPEATS = 2
OVER_CHANCE = "balanced-chance"
HITS, BALANCED = "hits/", "balanced/release"  # names of values
CONFUSED = (*PARTS, ALL)
MOST_CONFUSED = 30  # classes of a confusion matrix


def measure(study: Study) -> Measured:
    """See :func:`probe_accuracies`; figures under ``probes`` and ``lifts``, None without two classes.

    Values: ``hits/PROBE`` (R, N) bool, the classifier not trained on an image named its class, and
    ``balanced/release`` (R, N) float32, see :func:`balanced`.
    """
    only = None if study.arrays is None else _fed(study.arrays)
    if not study.several_classes or only == set():
        return Measured({"probes": None, "lifts": None})
    how = {"groups": study.units, "seed": study.seed, "probe": study.probe, "device": study.device}
    probes, lifts, hits = probe_accuracies(study.maps, study.labels, only=only, **how)
    values = {HITS + name: rows for name, rows in hits.items()}
    if "release" in hits:
        values[BALANCED] = balanced(hits["release"], study.labels).astype(np.float32)
    return Measured({"probes": probes, "lifts": lifts}, values)


def _fed(arrays: Set[str]) -> set[str]:
    """The probes that some of the values come from."""
    hits = {name.removeprefix(HITS) for name in arrays if name.startswith(HITS)}
    return hits | ({"release"} if BALANCED in arrays else set())


def probe_accuracies(
    maps: Any,
    labels: np.ndarray,
    *,
    groups: Groups = None,
    seed: int = 0,
    probe: str = "ridge",
    repeats: int = REPEATS,
    device: str = "cpu",
    only: Set[str] | None = None,
) -> tuple[dict[str, Any], dict[str, Figure], dict[str, np.ndarray]]:
    """Accuracies of fair probes and their paired differences.

    Args:
        maps: what holds the signals, see :mod:`geolip_theorems.probes.signals`.
        labels: (N,) int64. groups: (N,) or None; a group is never split between training and testing.
        probe: ``"ridge"``, banded kernel ridge; ``"conv"``, a small convolutional readout.
        repeats: of the cross-validation. device: of the linear algebra, or the readout.
        only: names of the probes that are wanted; by default all.

    Returns:
        probes: a figure per feature group, combination and ``best_single`` (its ``null`` the majority
        rate; with ``per_repeat``, and ``chosen``, the variants and penalties taken and how often), and
        ``probe``, ``chance``, ``n_folds``, ``repeats``, ``confusion``.
        lifts: see :func:`lift_figures`. hits: (R, N) bool per probe.
        What has too few images per class, or needs a map that is missing, is None and its method says why.

    Raises:
        InputError: features that are not finite, an unknown probe.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    units = Units.of(groups, len(labels))
    unknown_probes, unknown_lifts = _unmeasured(maps, len(labels))
    reason = too_few(labels, units.groups)
    if reason:
        none = figure(None, None, len(labels), reason)
        probes = dict.fromkeys((*PARTS, *COMBINATIONS), none)
        return probes | unknown_probes, dict.fromkeys((*LIFTS, OVER_CHANCE), none) | unknown_lifts, {}
    classes, counts = np.unique(labels, return_counts=True)
    chance = float(counts.max() / len(labels))
    how = {"seed": seed, "n_folds": N_FOLDS, "repeats": repeats, "device": device}
    results = _predictions(maps, labels, units, probe, only, **how)
    if not results:
        return unknown_probes, unknown_lifts, {}
    folds = next(iter(results.values())).n_folds
    method = f"{repeats} x {folds}-fold {'group ' if units.grouped else ''}cross-validation, {probe} probe"
    probes: dict[str, Any] = {"probe": probe, "chance": chance, "n_classes": len(classes)}
    probes |= {"n_folds": folds, "repeats": repeats}
    for name, found in results.items():
        probes[name] = accuracy_figure(found.hits, groups, method, folds) | {
            "null": chance,
            "per_repeat": found.hits.mean(1).tolist(),
            "chosen": _chosen(found),
        }
    probes["confusion"] = confusion(results, labels)
    hits = {name: found.hits for name, found in results.items()}
    lifts = lift_figures(hits, groups, method, seed, folds)
    if "release" in hits:
        lifts[OVER_CHANCE] = over_chance_figure(hits["release"], labels, groups, method, folds)
    return probes | unknown_probes, lifts | unknown_lifts, hits


def _unmeasured(maps: Any, n: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures without a value, whose methods say which signal is missing: of probes, and of lifts."""
    probes = {name: figure(None, None, n, why) for name, why in missing_probes(maps).items()}
    lifts = {name: probes[side] for name, pair in LIFTS.items() for side in pair if side in probes}
    return probes, lifts


def confusion(results: Mapping[str, Predictions], labels: np.ndarray) -> dict[str, Any] | None:
    """Which class is taken for which, out of fold; None above 30 classes.

    ``classes``: (C,) the labels there are; and for each probe of ``CONFUSED`` (C, C) images of the class of
    the row named as the class of the column, summed over repeats.
    """
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) > MOST_CONFUSED:
        return None
    found: dict[str, Any] = {"classes": classes.tolist()}
    for name in (name for name in CONFUSED if name in results):
        cells = y * len(classes) + results[name].guesses
        counts = np.bincount(cells.ravel(), minlength=len(classes) ** 2)
        found[name] = counts.reshape(len(classes), -1).tolist()
    return found


def _predictions(
    maps: Any, labels: np.ndarray, units: Units, probe: str, only: Set[str] | None = None, **how: Any
) -> dict[str, Predictions]:
    """Out-of-fold results of every feature group, combination and the best part, or of ``only`` some.

    What others are made of is among them: a combination joins its parts as they were chosen alone.
    """
    y = np.unique(labels, return_inverse=True)[1]
    missing = missing_probes(maps)
    wanted = {*SIGNALS, *COMBINATIONS, BEST} if only is None else only
    joined = {name: parts for name, parts in COMBINATIONS.items() if name in wanted and name not in missing}
    best_of = () if BEST in missing or BEST not in wanted else PARTS
    signals = wanted.union(best_of, *joined.values())
    how["combinations"] = joined
    if probe == "conv":
        return conv_cross_validated(feature_grids(maps, signals), y, units.groups, **how)
    return cross_validated(FeatureGroups(maps, signals), y, units.groups, best_of=best_of, **how)


def accuracy_figure(hits: np.ndarray, groups: Groups, method: str, n_folds: int = N_FOLDS) -> dict[str, Any]:
    """The mean of hits (R, N) over repeats and images with its interval, cut to 0 .. 1."""
    units = Units.of(groups, hits.shape[1])
    value, _, error = influence_of(hits, units, n_folds)
    if value in (0.0, 1.0):  # without spread: as of half an error more, or fewer
        rate = min(max(value, 0.5 / units.count), 1 - 0.5 / units.count)
        error = max(error, math.sqrt(rate * (1 - rate) / units.count))
    found = _figure(value, units.reach * error, units, f"{method}; ")
    low, high = found["ci95"] or (0.0, 1.0)
    return found | {"ci95": found["ci95"] and [max(0.0, low), min(1.0, high)]}


def balanced(hits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What images add to the mean over classes of a class's accuracy (Brodersen et al. 2010).

    Args:
        hits: (R, N) bool. labels: (N,).

    Returns:
        (R, N) float64. Its mean over images is the balanced accuracy; each value less that mean is the
        image's influence: a hit less its class's accuracy, times N over the class's images and the classes.
    """
    _, y, counts = np.unique(labels, return_inverse=True, return_counts=True)
    rates = sums_by(1.0 * hits.T, y, len(counts)).T / counts
    weight = len(y) / (len(counts) * counts[y])
    return rates.mean(1, keepdims=True) + weight * (hits - rates[:, y])


def over_chance_figure(
    hits: np.ndarray, labels: np.ndarray, groups: Groups, method: str, n_folds: int = N_FOLDS
) -> Figure:
    """Balanced accuracy of hits (R, N) less one over the number of classes.

    A class of which all or no image was named has no spread; its error is then that of the exact binomial
    with its images (groups) as trials.
    """
    units = Units.of(groups, len(labels))
    classes, y = np.unique(labels, return_inverse=True)
    value, _, error = influence_of(balanced(hits, labels), units, n_folds)
    rates = np.array([hits[:, y == c].mean() for c in range(len(classes))])
    seen = np.array([len(np.unique(units.index[y == c])) for c in range(len(classes))])
    unseen = np.where((rates == 0) | (rates == 1), at_most(seen), 0) / len(classes)
    half = math.hypot(units.reach * error, *unseen)
    return _figure(value - 1 / len(classes), half, units, f"{method}; balanced accuracy, ", null=0.0)


def lift_figures(
    hits: Mapping[str, np.ndarray], groups: Groups, method: str, seed: int = 0, n_folds: int = N_FOLDS
) -> dict[str, Any]:
    """Paired differences between probes.

    Args:
        hits: (R, N) per probe, on the same folds. n_folds: in a repeat.

    Returns:
        A figure per lift of ``LIFTS``: ``ci95``, ``reach`` its half-width in standard errors, ``p``
        (two-sided); ``ci95_joint`` and ``p_joint`` hold for all lifts at once (max t; times their number);
        ``smallest_detectable``: the lift this sample would find with a chance of 80 %. Probes that agree on
        every image have no spread: the exact binomial says how many others could differ.
    """
    units = Units.of(groups, next(iter(hits.values())).shape[1])
    pairs = {name: pair for name, pair in LIFTS.items() if set(pair) <= set(hits)}
    parts = {name: influence_of(1.0 * hits[a] - hits[b], units, n_folds) for name, (a, b) in pairs.items()}
    if not parts:  # maps of the release error alone
        return {}
    text = f"{method}; paired, "
    if not units.enough:
        return {name: _figure(value, 0.0, units, text, null=0.0) for name, (value, _, _) in parts.items()}
    influences = np.stack([influence for _, influence, _ in parts.values()], 1)
    joint, alone = simultaneous_reach(influences, units.df, seed), units.reach
    lifts: dict[str, Any] = {}
    for name, (value, _, error) in parts.items():
        error = error or float(at_most(units.count)) / alone
        p = float(2 * scipy.stats.t.sf(abs(value) / error, units.df))
        lifts[name] = _figure(value, alone * error, units, text, null=0.0, p=p) | {
            "ci95_joint": [value - joint * error, value + joint * error],
            "p_joint": min(1.0, p * len(parts)),
            "smallest_detectable": (alone + float(scipy.stats.t.ppf(POWER, units.df))) * error,
        }
    return lifts


def at_most(units: np.ndarray | int) -> np.ndarray:
    """The largest share of which none is seen among so many units one time in forty (exact binomial)."""
    return 1 - ((1 - LEVEL) / 2) ** (1 / np.asarray(units, np.float64))


def _figure(value: float, half: float, units: Units, method: str, **more: Any) -> Figure:
    """A cross-validated figure with its half-width; without an interval where too few units carry it."""
    if not units.enough:
        return figure(value, None, len(units), method + units.too_few, **more)
    text = f"{method}Student t over {units.name}, corrected resampled variance"
    counted = {"reach": units.reach, "units": units.count} if units.grouped else {"reach": units.reach}
    return figure(value, (value - half, value + half), len(units), text, **more, **counted)


def _chosen(found: Predictions) -> list[dict[str, Any]]:
    made = (choice for choices in found.choices for choice in choices)
    counts = Counter((choice.weights, round(choice.penalty, 6)) for choice in made)
    return [
        {"weights": dict(weights), "penalty": penalty, "folds": count}
        for (weights, penalty), count in counts.most_common()
    ]
