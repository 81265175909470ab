"""Paired differences of the metrics from two companions' arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .measures.paired import (
    Paired,
    cosine_difference,
    hits_difference,
    mean_difference,
    ratio_difference,
    root_difference,
)
from .measures.per_image import PREFIX
from .metrics import Metric

if TYPE_CHECKING:
    from .comparison import Side

TOLERANCE = 1e-3  # between a record's figure and the same from its arrays, of the smallest change
BY_IMAGE = {"mean": mean_difference, "ratio": ratio_difference, "root": root_difference}


def paired_difference(
    metric: Metric, reference: Side, candidate: Side, first: Mapping[str, Any], second: Mapping[str, Any]
) -> Paired | None:
    """The difference of a metric, paired by image, or None where the sides' arrays do not allow it.

    Args:
        first, second: the record's figures. Arrays that do not give them do not belong to them, and are
            not used.
    """
    a, b = reference.arrays, candidate.arrays
    if a is None or b is None or not _same_images(a, b):
        return None
    names = [PREFIX + key for key in metric.keys]
    if not all(name in side for name in names for side in (a, b)):
        return None
    groups = a.get(PREFIX + "group")
    if metric.kind == "cosine":
        return _cosine(a, b, first, second, reference.subject["dataset"]["classes"] or ())
    if metric.kind in ("hits", "lift"):
        parts = [[np.asarray(side[name]) for name in names] for side in (a, b)]
        if len({array.shape for part in parts for array in part}) > 1:
            return None
        found = hits_difference(*parts, groups)
        chance = _chance(metric, a)
        found_values = tuple(value - chance for value in found.values)
        return found if _agree(metric, found_values, first, second) else None
    x, y = np.asarray(a[names[0]]), np.asarray(b[names[0]])
    if metric.keys[0] == "other_mode":
        if not np.array_equal(a[PREFIX + "ablated"], b[PREFIX + "ablated"]):
            return None
        groups = None if groups is None else groups[a[PREFIX + "ablated"]]
    if x.shape != y.shape:
        return None
    found = BY_IMAGE[metric.kind](x, y, groups)
    return found if _agree(metric, found.values, first, second) else None


def _same_images(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    """Equal positions, labels and groups; that the images are equal, the records' checksums say."""
    keys = [PREFIX + key for key in ("position", "label", "group")]
    return keys[0] in a and all(
        (key in a) == (key in b) and (key not in a or np.array_equal(a[key], b[key])) for key in keys
    )


def _agree(
    metric: Metric,
    values: tuple[float, float] | None,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
) -> bool:
    wanted = np.array([first["value"], second["value"]])
    allowed = TOLERANCE * metric.smallest * (np.abs(wanted) if metric.kind == "ratio" else 1.0)
    return values is not None and bool((np.abs(np.array(values) - wanted) <= allowed).all())


def _chance(metric: Metric, arrays: Mapping[str, np.ndarray]) -> float:
    """The rate of the commonest class, which the same images give both sides, where it is taken off."""
    if not metric.path.endswith("-chance"):
        return 0.0
    return float(np.bincount(arrays[PREFIX + "label"]).max() / len(arrays[PREFIX + "label"]))


def _cosine(
    a: Mapping[str, np.ndarray],
    b: Mapping[str, np.ndarray],
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    classes: Sequence[str],
) -> Paired | None:
    labels, groups = a.get(PREFIX + "label"), a.get(PREFIX + "group")
    if labels is None or not (first.get("pairs") and second.get("pairs")):
        return None
    maps = [side[PREFIX + "error_map"] * np.float64(side[PREFIX + "error_map_scale"]) for side in (a, b)]
    try:
        weights = [_weights(figure["pairs"], classes) for figure in (first, second)]
    except (KeyError, TypeError, ValueError):
        return None
    difference = second["value"] - first["value"]
    return cosine_difference((maps[0], weights[0]), (maps[1], weights[1]), difference, labels, groups)


def _weights(pairs: Any, classes: Sequence[str]) -> np.ndarray:
    """The share of the choices that fell on each pair of classes, (C, C)."""
    place = {name: i for i, name in enumerate(classes)}
    weights = np.zeros((len(classes), len(classes)))
    for a, b, share in pairs:
        weights[place[a], place[b]] = share
    return weights
