"""A subject as one side of a comparison: what both must share, and a metric's difference paired by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..io.errors import InputError
from ..questions import MEASURES_VERSION, Metric
from ..questions.study import SAME_SINCE
from ..results.companion import PER_IMAGE
from ..stats.estimators import Kept, Paired
from ..stats.units import Units

OF_DATASET = ("sha256", "preprocessing", "n_images")
OF_PROTOCOL = ("extraction", "measures", "probe", "ablation_images")


@dataclass(frozen=True)
class Side:
    """A subject of a results file.

    Attributes:
        subject: its record, as in ``results.json``.
        arrays: its companion's, or None.
        label: what the terminal calls it.
        note: why there are no arrays, where there should be.
    """

    subject: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] | None = None
    label: str = ""
    note: str = ""

    def figure(self, metric: Metric) -> Mapping[str, Any] | None:
        """A metric's figure, or None where it was not measured."""
        found = metric.of(self.subject["measurements"].get("calibrated"))
        return found if found and found.get("value") is not None else None

    @cached_property
    def kept(self) -> dict[str, np.ndarray]:
        """What its images contribute, by name; empty without arrays."""
        own = {k: v for k, v in (self.arrays or {}).items() if k.startswith(PER_IMAGE)}
        return {name.removeprefix(PER_IMAGE): array for name, array in own.items()}


def paired_difference(metric: Metric, reference: Side, candidate: Side) -> Paired | None:
    """The difference of a metric, paired by image, or None where the sides' arrays do not allow it."""
    a, b = reference.kept, candidate.kept
    values = [metric.values(kept) for kept in (a, b)]
    if not a or not b or None in values or not _same_images(a, b, metric.rows):
        return None
    units = Units.of(a.get("group"), len(a["position"]))
    if metric.rows is not None:
        units = units.take(a[metric.rows])
    labels, classes = a.get("label"), reference.subject["dataset"]["classes"] or ()
    sides = [
        Kept(own, side.figure(metric), labels, classes)
        for own, side in zip(values, (reference, candidate), strict=True)
    ]
    return metric.estimator.difference(*sides, units)


def _same_images(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray], rows: str | None) -> bool:
    """Equal positions, labels and groups; that the images are equal, the records' checksums say."""
    keys = ["position", "label", "group", *([] if rows is None else [rows])]
    return keys[0] in a and all(
        (key in a) == (key in b) and (key not in a or np.array_equal(a[key], b[key])) for key in keys
    )


def conditions(subject: Mapping[str, Any]) -> dict[str, Any]:
    """What must be equal for two subjects to be compared, by the name of the record's field."""
    found = {f"dataset.{key}": subject["dataset"][key] for key in OF_DATASET}
    found["seed"] = subject["seed"]
    found |= {f"protocol.{key}": subject["protocol"].get(key) for key in OF_PROTOCOL}
    measures = found["protocol.measures"]
    if isinstance(measures, int) and SAME_SINCE <= measures <= MEASURES_VERSION:
        found["protocol.measures"] = MEASURES_VERSION
    found |= {f"threshold.{v['claim']}": v["threshold"] for v in subject["verdicts"]}
    return found


def differing(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """The conditions in which two subjects differ, with both values; thresholds only where both have them."""
    a, b = conditions(reference), conditions(candidate)
    return [
        f"{name}: {_short(a.get(name))} then, {_short(b.get(name))} now"
        for name in dict.fromkeys([*a, *b])
        if a.get(name) != b.get(name) and (not name.startswith("threshold.") or (name in a and name in b))
    ]


def check_comparable(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> None:
    """Raise ``InputError`` where data or protocol differ, naming each field and both values."""
    fields = differing(reference, candidate)
    if fields:
        raise InputError(
            f"{candidate['id']} cannot be compared with {reference['id']}: {'; '.join(fields)}; "
            "run both on the same images, of one --image-size, with the same options and version of the suite"
        )


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}.." if len(text) == 64 else text
