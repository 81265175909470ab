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
from .judging import compare, ends, said
from .pairing import Side, differing
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
    """A metric over the versions: its figures, and by a version's number what changed or flipped there.

    A change is the difference from the last change point, or from the first version; a flip is a verdict on
    the metric that is another than in the version before.
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
    """The versions of one subject, name and moment of each, oldest first; ``left_out``: which are not, and
    why.
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
    """What happened to a subject over its versions, oldest first, measured as the newest is."""
    newest = versions[-1].side.subject
    reasons = [differing(version.side.subject, newest) for version in versions]
    kept = [version for version, why in zip(versions, reasons, strict=True) if not why]
    left_out = {v.name: "; ".join(why) for v, why in zip(versions, reasons, strict=True) if why}
    pairs = max(1, len(kept) * (len(kept) - 1) // 2)

    @cache
    def compared(i: int, j: int) -> Any:
        return compare(kept[i].side, kept[j].side, comparisons=pairs)

    series = []
    for question, metric in metrics():
        figures = [ends(version.side.figure(metric)) for version in kept]
        if not any(figures):
            continue
        changes, flips, since = {}, {}, 0
        claims = {v["claim"] for v in newest["verdicts"] if v["metric"] == metric.name}
        for number in range(1, len(kept)):
            verdicts = compared(number - 1, number).verdicts if claims else ()
            if flipped := [flip for flip in verdicts if flip.claim in claims and flip.outcome != "same"]:
                flips[number] = flipped
            if figures[since] is None:
                since = number
                continue
            found = next(d for d in compared(since, number).metrics if d.metric == metric.name)
            if found.outcome in BEYOND:
                changes[number], since = found, number
        series.append(
            Series(metric.name, metric.title, question.id, metric.unit, tuple(figures), changes, flips)
        )
    named = tuple((version.name, version.created) for version in kept)
    return History(newest["id"], named, tuple(series), left_out)


def events(found: History) -> list[tuple[str, str, str, str]]:
    """Version, question, claim or metric, and what happened to it; oldest first, flips before changes."""
    rows = []
    for number, (name, _) in enumerate(found.versions):
        for series in found.series:
            for flip in series.flips.get(number, []):
                what = f"{flip.reference} before, {flip.candidate} now"
                rows.append((name, flip.question, flip.title, what))
        for series in found.series:
            if change := series.changes.get(number):
                what = f"{said(change.outcome, change.metric)}: {change.reason}"
                rows.append((name, series.question, series.title, what))
    return rows
