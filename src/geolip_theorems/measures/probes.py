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
from .features import SIGNALS, feature_groups
from .nested import N_FOLDS, Predictions, cross_validated, too_few
from .readout import conv_cross_validated
from .resampling import LEVEL, figure, simultaneous_reach

PROBES = ("ridge", "conv")
REPEATS = 2
Z_POWER = 0.841621
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
# Folds share most of their training images, so a cross-validated accuracy varies more than its images'
# hits say. The factor on the standard error was fitted to simulations, see docs/calibration.md.
INFLATION = 1.15
MOST_KEPT = 8  # results of predictions(), a few hundred kilobytes each
_KEPT: dict[str, dict[str, Predictions]] = {}


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
        ``probe``, ``chance``, ``n_folds``, ``repeats``.
        lifts: see :func:`lift_figures`.
        With too few images a class every value is None and every method says why.

    Raises:
        InputError: features that are not finite, an unknown probe.

    Cost: see :func:`geolip_theorems.measures.nested.cross_validated`.
    """
    if probe not in PROBES:
        raise unknown("probe", probe, PROBES)
    reason = too_few(labels, groups)
    if reason:
        none = figure(None, None, len(labels), reason)
        return dict.fromkeys((*SIGNALS, *COMBINATIONS), none), dict.fromkeys((*LIFTS, "release-chance"), none)
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
        probes[name] = accuracy_figure(found.hits, groups, method) | {
            "null": chance,
            "per_repeat": found.hits.mean(1).tolist(),
            "chosen": _chosen(found),
        }
    return probes, lift_figures({n: r.hits for n, r in results.items()}, chance, groups, method, seed)


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
        if probe == "ridge":
            found = cross_validated(
                feature_groups(maps), y, groups, combinations=COMBINATIONS, best_of=SIGNALS, **options
            )
        else:
            found = conv_cross_validated(maps, y, groups, combinations=COMBINATIONS, **options)
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


def out_of_fold(
    maps: Any,
    labels: np.ndarray,
    groups: np.ndarray | None = None,
    seed: int = 0,
    probe: str = "ridge",
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """(N,) float64 a probe, :func:`out_of_fold_hits` averaged over repeats: each image's accuracy."""
    found = out_of_fold_hits(maps, labels, groups, seed, probe, device)
    return {name: hits.mean(0) for name, hits in found.items()}


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


def accuracy_figure(hits: np.ndarray, groups: np.ndarray | None, method: str) -> dict[str, Any]:
    """The mean of hits (R, N) over repeats and images with its interval, cut to 0 .. 1.

    The estimand is the expected accuracy of the whole procedure, tuning included, at this training size.
    """
    value, influence, error = influence_of(hits, groups)
    df = len(influence) - 1
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, df)) * max(error, _least_error(value, len(influence)))
    text = f"{method}; Student t over {_unit(groups)}, standard error x {INFLATION}"
    return figure(value, (max(0.0, value - reach), min(1.0, value + reach)), hits.shape[1], text)


def lift_figures(
    hits: Mapping[str, np.ndarray], chance: float, groups: np.ndarray | None, method: str, seed: int = 0
) -> dict[str, Any]:
    """Paired differences between probes, with intervals that hold for all of them at once.

    Args:
        hits: (R, N) a probe, on the same folds. chance: the majority rate.

    Returns:
        A figure a lift of ``LIFTS``: ``ci95`` simultaneous over the set (max t), ``ci95_alone``, ``p``
        (two-sided, times the number of lifts), ``smallest_detectable``: the lift this sample would find,
        its simultaneous interval above 0, with a chance of 80 %. And ``release-chance``: the release
        probe less the majority rate, an interval of its own, as the majority rate is known.

    Cost: 20,000 draws of as many normal variables as there are lifts.
    """
    pairs = {name: pair for name, pair in LIFTS.items() if set(pair) <= set(hits)}
    parts = {name: influence_of(1.0 * hits[a] - hits[b], groups) for name, (a, b) in pairs.items()}
    influences = np.stack([influence for _, influence, _ in parts.values()], 1)
    df = len(influences) - 1
    reach = simultaneous_reach(influences, df, seed)
    alone = float(stats.t.ppf(0.5 + LEVEL / 2, df))
    n = next(iter(hits.values())).shape[1]
    text = f"{method}; paired, Student t over {_unit(groups)}, standard error x {INFLATION}"
    lifts: dict[str, Any] = {}
    for name, (value, _, error) in parts.items():
        ends = (value - reach * error, value + reach * error)
        p = 1.0 if error == 0 else float(2 * stats.t.sf(abs(value) / error, df))
        lifts[name] = figure(value, ends, n, f"{text}; simultaneous over {len(parts)} lifts", null=0.0) | {
            "ci95_alone": [value - alone * error, value + alone * error],
            "p": min(1.0, p * len(parts)),
            "smallest_detectable": (reach + Z_POWER) * error,
        }
    accuracy = accuracy_figure(hits["release"], groups, method)
    ends = tuple(end - chance for end in accuracy["ci95"])
    lifts["release-chance"] = figure(accuracy["value"] - chance, ends, n, accuracy["method"], null=0.0)
    return lifts


def influence_of(values: np.ndarray, groups: np.ndarray | None) -> tuple[float, np.ndarray, float]:
    """Mean of (R, N) values, the influence of each image (or group), and the mean's standard error.

    Repeats share their images, so the standard error is that of a single repeat (root mean square over
    the repeats), times ``INFLATION``: averaging repeats steadies the estimate, not what it rests on.
    """
    value = float(values.mean())
    index = np.arange(values.shape[1]) if groups is None else groups
    residual = np.stack([np.bincount(index, row - row.mean()) for row in values])
    units = residual.shape[1]
    variance = units / (units - 1) * np.square(residual).sum(1).mean() / values.shape[1] ** 2
    return value, residual.mean(0), INFLATION * math.sqrt(variance)


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


def _unit(groups: np.ndarray | None) -> str:
    return "images" if groups is None else "groups of images"
