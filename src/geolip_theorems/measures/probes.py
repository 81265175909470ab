"""Questions 4 and 5: what the maps tell about the class, and what each adds to another."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy import stats

from ..errors import unknown
from .decisions import POWER
from .features import SIGNALS, feature_groups, missing_signals
from .nested import N_FOLDS, Predictions, cross_validated, too_few
from .readout import conv_cross_validated
from .resampling import (
    LEAST_UNITS,
    LEVEL,
    degrees_of_freedom,
    figure,
    simultaneous_reach,
    unit_factor,
    unit_name,
)
from .resampling import too_few as too_few_units

PROBES = ("ridge", "conv")
REPEATS = 2
ALL = "release+eigenvalues+friction"
COMBINATIONS: dict[str, tuple[str, ...]] = {
    "release+eigenvalues": ("release", "eigenvalues"),
    "release+friction": ("release", "friction"),
    ALL: SIGNALS,
}
LIFTS: dict[str, tuple[str, str]] = {
    "release-eigenvalues": ("release", "eigenvalues"),
    "release-friction": ("release", "friction"),
    "release+eigenvalues-eigenvalues": ("release+eigenvalues", "eigenvalues"),
    "release+friction-friction": ("release+friction", "friction"),
    "all-eigenvalues": (ALL, "eigenvalues"),
    "all-best_single": (ALL, "best_single"),
}
OVER_CHANCE = "release-chance"
CONFUSED = ("release", "eigenvalues", "friction", ALL)
MOST_CONFUSED = 30  # classes of a confusion matrix
MOST_KEPT = 8  # results of predictions(), a few hundred kilobytes each
_KEPT: dict[str, dict[str, Predictions]] = {}


def inflation(n_folds: int = N_FOLDS, repeats: int = REPEATS) -> float:
    """Factor on the standard error that the hits of one repeat give for the mean over repeats.

    Folds share most of their training images, so a cross-validated accuracy varies more than its images'
    hits say. The corrected resampled variance of R x K folds is (1 / (R K) + 1 / (K - 1)) times a fold's,
    the second term being test over training images (Nadeau and Bengio 2003; Bouckaert and Frank 2004); a
    fold's variance is K times that of the mean over all images. 1.32 for 2 x 5 folds.
    """
    return math.sqrt(1 / repeats + n_folds / (n_folds - 1))


INFLATION = inflation()


def probe_accuracies(
    maps: Any,
    labels: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    probe: str = "ridge",
    n_folds: int = N_FOLDS,
    repeats: int = REPEATS,
    device: str = "cpu",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Accuracies of fair probes and their paired differences.

    Args:
        maps: with ``error``, ``S``, ``friction`` and, where there are any, ``settle``, ``input_mean`` and
            ``input_var``.
        labels: (N,) int64. groups: (N,) or None; a group is never split between training and testing.
        probe: ``"ridge"``, banded kernel ridge; ``"conv"``, a small convolutional readout.
        n_folds, repeats: of the cross-validation. device: of the linear algebra, or the readout.

    Returns:
        probes: a figure a feature group, combination and ``best_single`` (its ``null`` the majority
        rate; with ``per_repeat``, and ``chosen``, the variants and penalties taken and how often), and
        ``probe``, ``chance``, ``n_folds``, ``repeats``; ``confusion``, see :func:`confusion`.
        lifts: see :func:`lift_figures`.
        With too few images a class every value is None and every method says why; so are the values of
        what needs a map that is missing, with ``best_single``, which is the best of all three signals.

    Raises:
        InputError: features that are not finite, an unknown probe.

    Cost: see :func:`geolip_theorems.measures.nested.cross_validated`.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    unknown_probes, unknown_lifts = _unmeasured(maps, len(labels))
    reason = too_few(labels, groups)
    if reason:
        none = figure(None, None, len(labels), reason)
        probes = dict.fromkeys((*SIGNALS, *COMBINATIONS), none)
        return probes | unknown_probes, dict.fromkeys((*LIFTS, OVER_CHANCE), none) | unknown_lifts
    classes, counts = np.unique(labels, return_counts=True)
    chance = float(counts.max() / len(labels))
    results = predictions(
        maps, labels, groups=groups, seed=seed, probe=probe, n_folds=n_folds, repeats=repeats, device=device
    )
    folds = results["release"].n_folds
    method = (
        f"{repeats} x {folds}-fold {'group ' if groups is not None else ''}cross-validation, {probe} probe"
    )
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
    return probes | unknown_probes, lift_figures(hits, chance, groups, method, seed, folds) | unknown_lifts


def missing_probes(maps: Any) -> dict[str, str]:
    """Probe -> why there is none, of those that read a signal that is missing."""
    missing = missing_signals(maps)
    needs = {**{name: (name,) for name in SIGNALS}, **COMBINATIONS, "best_single": SIGNALS}
    reasons = {name: [missing[part] for part in parts if part in missing] for name, parts in needs.items()}
    return {name: found[0] for name, found in reasons.items() if found}


def _unmeasured(maps: Any, n: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures without a value, whose methods say which signal is missing: of probes, and of lifts."""
    missing = missing_probes(maps)
    lifts = {name: missing[side] for name, pair in LIFTS.items() for side in pair if side in missing}
    probes, lifts = ({name: figure(None, None, n, why) for name, why in m.items()} for m in (missing, lifts))
    return probes, lifts


def confusion(results: Mapping[str, Predictions], labels: np.ndarray) -> dict[str, Any] | None:
    """Which class is taken for which, out of fold.

    Returns:
        ``classes``: (C,) the labels there are; and for each probe of ``CONFUSED`` (C, C) images of the class
        of the row named as the class of the column, summed over repeats. None above 30 classes.
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


def predictions(
    maps: Any,
    labels: np.ndarray,
    *,
    groups: np.ndarray | None = None,
    seed: int = 0,
    probe: str = "ridge",
    n_folds: int = N_FOLDS,
    repeats: int = REPEATS,
    device: str = "cpu",
) -> dict[str, Predictions]:
    """Out-of-fold results of every feature group, combination and ``best_single``.

    Arguments as :func:`probe_accuracies`. The last few results are kept: figures and what single images
    add to them come from one computation.

    Raises:
        InputError: features that are not finite, too few images, an unknown probe.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    options = {"n_folds": n_folds, "repeats": repeats, "seed": seed, "device": device}
    key = _digest(maps, labels, groups, {"probe": probe, **options})
    if key not in _KEPT:
        y = np.unique(labels, return_inverse=True)[1]
        missing = missing_probes(maps)
        joined = {name: parts for name, parts in COMBINATIONS.items() if name not in missing}
        if probe == "ridge":
            best_of = () if "best_single" in missing else SIGNALS
            features = feature_groups(maps)
            found = cross_validated(features, y, groups, combinations=joined, best_of=best_of, **options)
        else:
            found = conv_cross_validated(maps, y, groups, combinations=joined, **options)
        while len(_KEPT) >= MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = found
    return _KEPT[key]


def out_of_fold_hits(
    maps: Any,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    seed: int = 0,
    probe: str = "ridge",
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """(R, N) bool a probe: the classifier not trained on an image named its class, in each repeat.

    Empty where there are too few images for probes. Costs nothing after :func:`probe_accuracies` with the
    same arguments.
    """
    if too_few(labels, groups):
        return {}
    found = predictions(maps, labels, groups=groups, seed=seed, probe=probe, device=device)
    return {name: part.hits for name, part in found.items()}


def _digest(maps: Any, labels: np.ndarray, groups: np.ndarray | None, options: Mapping[str, Any]) -> str:
    read = [
        getattr(maps, name, None) for name in ("error", "S", "friction", "settle", "input_mean", "input_var")
    ]
    hashed = hashlib.sha256(repr(sorted(options.items())).encode())
    for array in (*read, labels, groups):
        hashed.update(b"-" if array is None else repr((np.shape(array), np.asarray(array).dtype)).encode())
        if array is not None:
            hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()


def accuracy_figure(
    hits: np.ndarray, groups: np.ndarray | None, method: str, n_folds: int = N_FOLDS
) -> dict[str, Any]:
    """The mean of hits (R, N) over repeats and images with its interval, cut to 0 .. 1.

    The estimand is the expected accuracy of the whole procedure, tuning included, at this training size.
    Fewer than six images (groups) give a value and no interval.
    """
    value, influence, error = influence_of(hits, groups, n_folds)
    units, n = len(influence), hits.shape[1]
    if units < LEAST_UNITS:
        return figure(value, None, n, f"{method}; {too_few_units(units, groups)}")
    df = degrees_of_freedom(_sizes(groups, n))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, df))
    half = reach * max(error, _least_error(value, units))
    ends = (max(0.0, value - half), min(1.0, value + half))
    text = f"{method}; Student t over {unit_name(groups)}, corrected resampled variance"
    return figure(value, ends, n, text, **_counted(groups, units, reach))


def lift_figures(
    hits: Mapping[str, np.ndarray],
    chance: float,
    groups: np.ndarray | None,
    method: str,
    seed: int = 0,
    n_folds: int = N_FOLDS,
) -> dict[str, Any]:
    """Paired differences between probes, with intervals that hold for all of them at once.

    Args:
        hits: (R, N) a probe, on the same folds. chance: the majority rate. n_folds: in a repeat.

    Returns:
        A figure a lift of ``LIFTS``: ``ci95`` simultaneous over the set (max t), ``reach`` its half-width
        in standard errors, ``ci95_alone``, ``p`` (two-sided, times the number of lifts),
        ``smallest_detectable``: the lift this sample would find, its simultaneous interval above 0, with a
        chance of 80 %. And ``release-chance``: the release probe less the majority rate, an interval of
        its own, as the majority rate is known. Fewer than six images (groups): values without intervals.

    Cost: 20,000 draws of as many normal variables as there are lifts.
    """
    pairs = {name: pair for name, pair in LIFTS.items() if set(pair) <= set(hits)}
    parts = {name: influence_of(1.0 * hits[a] - hits[b], groups, n_folds) for name, (a, b) in pairs.items()}
    n = hits["release"].shape[1]
    units = n if groups is None else len(np.unique(groups))
    accuracy = accuracy_figure(hits["release"], groups, method, n_folds)
    ends = None if accuracy["ci95"] is None else tuple(end - chance for end in accuracy["ci95"])
    over_chance = figure(accuracy["value"] - chance, ends, n, accuracy["method"], null=0.0)
    over_chance |= {key: accuracy[key] for key in ("units", "reach") if key in accuracy}
    if not parts:  # maps of the release error alone
        return {OVER_CHANCE: over_chance}
    if units < LEAST_UNITS:
        text = f"{method}; paired, {too_few_units(units, groups)}"
        few = {name: figure(value, None, n, text, null=0.0) for name, (value, _, _) in parts.items()}
        return few | {OVER_CHANCE: over_chance}
    df = degrees_of_freedom(_sizes(groups, n))
    reach = simultaneous_reach(np.stack([influence for _, influence, _ in parts.values()], 1), df, seed)
    alone = float(stats.t.ppf(0.5 + LEVEL / 2, df))
    text = f"{method}; paired, Student t over {unit_name(groups)}, corrected resampled variance"
    text += f"; simultaneous over {len(parts)} lifts"
    lifts: dict[str, Any] = {}
    for name, (value, _, error) in parts.items():
        ends = (value - reach * error, value + reach * error)
        p = 1.0 if error == 0 else float(2 * stats.t.sf(abs(value) / error, df))
        lifts[name] = figure(value, ends, n, text, null=0.0, **_counted(groups, units, reach)) | {
            "ci95_alone": [value - alone * error, value + alone * error],
            "p": min(1.0, p * len(parts)),
            "smallest_detectable": (reach + float(stats.t.ppf(POWER, df))) * error,
        }
    return lifts | {OVER_CHANCE: over_chance}


def influence_of(
    values: np.ndarray, groups: np.ndarray | None, n_folds: int = N_FOLDS
) -> tuple[float, np.ndarray, float]:
    """Mean of (R, N) values, the influence of each image (or group), and the mean's standard error.

    The standard error is that of a single repeat (root mean square over the repeats) times
    :func:`inflation`: repeats share their images, and folds their training images.
    """
    value = float(values.mean())
    index = np.arange(values.shape[1]) if groups is None else np.unique(groups, return_inverse=True)[1]
    residual = np.stack([np.bincount(index, row - row.mean()) for row in values])
    factor = unit_factor(_sizes(groups, values.shape[1]))
    variance = factor * np.square(residual).sum(1).mean() / values.shape[1] ** 2
    return value, residual.mean(0), inflation(n_folds, len(values)) * math.sqrt(variance)


def _sizes(groups: np.ndarray | None, n: int) -> np.ndarray:
    return np.ones(n) if groups is None else np.unique(groups, return_counts=True)[1]


def _counted(groups: np.ndarray | None, units: int, reach: float) -> dict[str, Any]:
    """What a figure says of its interval: half-width in standard errors, and how many groups it rests on."""
    return {"reach": reach} if groups is None else {"reach": reach, "units": units}


def _least_error(value: float, units: int) -> float:
    """An accuracy of 0 or 1 has no spread; its error is then that of half an error more, or fewer."""
    rate = min(max(value, 0.5 / units), 1 - 0.5 / units)
    return math.sqrt(rate * (1 - rate) / units) if value in (0.0, 1.0) else 0.0


def _chosen(found: Predictions) -> list[dict[str, Any]]:
    counts = Counter(
        (choice.weights, round(choice.penalty, 6)) for choices in found.choices for choice in choices
    )
    return [
        {"weights": dict(weights), "penalty": penalty, "folds": count}
        for (weights, penalty), count in counts.most_common()
    ]
