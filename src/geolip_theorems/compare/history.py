"""Versions in the order they were made: every figure over them, verdicts that flipped, and change points.

A change point of a metric is the first version whose difference from the one at the last change point (at
first, from the first version) is beyond chance. The intervals of these differences hold at once for all
pairs of versions and all metrics of a kind (Bonferroni), so which pairs are looked at may depend on what is
found, and a slow drift is found where its sum is beyond chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..io.errors import InputError
from ..questions import metrics
from ..results.comparison import Difference, Flip
from ..results.record import read_results
from .conditions import differing
from .judging import compare, said
from .pairing import Side
from .sides import open_run

BEYOND = ("worse", "better", "slightly worse", "slightly better", "differs", "lost")
RESULTS = "results.json"


@dataclass(frozen=True)
class Version:
    """A subject of a run: ``name`` of its folder or file, ``created`` as in the record."""

    name: str
    created: str
    side: Side


@dataclass(frozen=True)
class Series:
    """A metric over the versions.

    Attributes:
        figures: ``value`` and ``ci95`` of each version, or None.
        changes: by the number of its version, the difference from the last change point or the first version.
        flips: by the number of the version, verdicts on it that are others than in the version before.
    """

    metric: str
    title: str
    question: str
    unit: str
    figures: tuple[dict[str, Any] | None, ...]
    changes: dict[int, Difference]
    flips: dict[int, list[Flip]]


@dataclass(frozen=True)
class History:
    """The versions of one subject.

    Attributes:
        subject: the model and the images.
        versions: name and moment of each, oldest first.
        series: every metric that any version has.
        left_out: versions measured under other conditions than the newest, and which.
    """

    subject: str
    versions: tuple[tuple[str, str], ...]
    series: tuple[Series, ...]
    left_out: dict[str, str]


def read_versions(folder: Path) -> list[list[Version]]:
    """The versions in a folder of runs, oldest first, one list for each subject.

    A run is a ``results.json`` in a folder of its own, as baselines are, or another JSON file. Runs of one
    model are versions of it whatever it is called; of several models, those of the same name are.

    Raises:
        InputError: no run there, or one that cannot be read.
    """
    paths = sorted({*folder.glob(f"*/{RESULTS}"), *folder.glob("*.json")})
    if not paths:
        raise InputError(
            f"{folder.name!r} holds no runs; give a folder of results files, or of folders with a {RESULTS}"
        )
    found: list[Version] = []
    several = set()  # images on which a run has more than one model
    for path in paths:
        name = path.parent.name if path.name == RESULTS and path.parent != folder else path.stem
        created = read_results(path)["created"]
        sides = open_run(path, name)
        images = [side.subject["dataset"]["name"] for side in sides]
        several |= {image for image in images if images.count(image) > 1}
        found += [Version(name, created, side) for side in sides]
    by_subject: dict[tuple[str, ...], list[Version]] = {}
    for version in sorted(found, key=lambda version: version.created):
        model, images = (version.side.subject[part]["name"] for part in ("model", "dataset"))
        by_subject.setdefault((images, model) if images in several else (images,), []).append(version)
    return list(by_subject.values())


def history(versions: Sequence[Version]) -> History:
    """What happened to a subject over its versions, oldest first."""
    newest = versions[-1].side.subject
    differences = [differing(version.side.subject, newest) for version in versions]
    kept = [version for version, why in zip(versions, differences, strict=True) if not why]
    pairs = max(1, len(kept) * (len(kept) - 1) // 2)

    @cache
    def compared(i: int, j: int) -> Any:
        return compare(kept[i].side, kept[j].side, comparisons=pairs)

    def difference(metric: str, i: int, j: int) -> Difference:
        return next(found for found in compared(i, j).metrics if found.metric == metric)

    def flips(claims: set[str]) -> dict[int, list[Flip]]:
        found = {}
        for number in range(1, len(kept)) if claims else ():
            verdicts = compared(number - 1, number).verdicts
            found[number] = [flip for flip in verdicts if flip.claim in claims and flip.outcome != "same"]
        return {number: changed for number, changed in found.items() if changed}

    series = []
    for question, metric in metrics():
        figures = [version.side.figure(metric) for version in kept]
        if not any(figures):
            continue
        changes, since = {}, 0
        for number in range(1, len(kept)):
            if figures[since] is None:
                since = number
                continue
            found = difference(metric.name, since, number)
            if found.outcome in BEYOND:
                changes[number], since = found, number
        ends = tuple(f and {"value": f["value"], "ci95": f.get("ci95")} for f in figures)
        claims = {v["claim"] for v in newest["verdicts"] if v["metric"] == metric.name}
        series.append(
            Series(metric.name, metric.title, question.id, metric.unit, ends, changes, flips(claims))
        )
    return History(
        subject=newest["id"],
        versions=tuple((version.name, version.created) for version in kept),
        series=tuple(series),
        left_out={v.name: "; ".join(why) for v, why in zip(versions, differences, strict=True) if why},
    )


def events(found: History) -> list[tuple[str, str, str, str]]:
    """Version, question, claim or metric, and what happened to it; oldest first, flips before changes."""
    rows = []
    for number, (name, _) in enumerate(found.versions):
        rows += [
            (name, flip.question, flip.title, f"{flip.reference} before, {flip.candidate} now")
            for series in found.series
            for flip in series.flips.get(number, [])
        ]
        changes = ((series, series.changes.get(number)) for series in found.series)
        rows += [
            (name, series.question, series.title, f"{said(change.outcome, change.metric)}: {change.reason}")
            for series, change in changes
            if change is not None
        ]
    return rows
