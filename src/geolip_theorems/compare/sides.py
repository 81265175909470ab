"""Runs on disk as sides of a comparison: a results file, its companions, and which subject answers which."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..io.errors import InputError, nearest
from ..io.text import printable
from ..questions import metrics
from ..results import companion
from ..results.comparison import Comparison
from ..results.record import read_results
from ..stats.figure import Figure
from .baselines import standing
from .judging import compare, refused
from .pairing import Side


def open_run(path: Path, label: str = "") -> list[Side]:
    """The measured subjects of a results file with their companions' arrays.

    Args:
        path: a ``results.json``. label: what the terminal calls the run; by default its folder and name.

    Raises:
        InputError: the file cannot be read, holds no measured subject, or a companion is damaged or belongs
            to another record. A missing companion is no error: the side says that it cannot be paired.
    """
    label = printable(label or "/".join(path.absolute().parts[-2:]))
    with standing(path):
        subjects = [subject for subject in read_results(path)["subjects"] if not subject["error"]]
        try:
            for subject in subjects:
                figures = (metric.of(subject["measurements"].get("calibrated")) for _, metric in metrics())
                msgspec.convert([found for found in figures if found is not None], list[Figure])
        except msgspec.ValidationError as error:
            raise InputError(
                f"results file {path.name!r} is not as this suite writes it ({error}); run the suite again"
            ) from None
        if not subjects:
            raise InputError(f"results file {path.name!r} holds no measured subject; run the suite again")
        return [_side(subject, path.parent, label) for subject in subjects]


def _side(subject: Mapping[str, Any], folder: Path, label: str) -> Side:
    label = f"{subject['id']} ({label})"
    entry = subject.get("companion")
    if not entry:
        note = f"{label} was written without its per-image arrays; its differences are not paired"
        return Side(subject, None, label, note)
    if not os.path.exists(folder / Path(entry["file"]).name):  # unlike Path's, False for impossible names
        note = f"{Path(entry['file']).name} is missing beside {label}; its differences are not paired"
        return Side(subject, None, label, note)
    return Side(subject, companion.of_subject(subject, folder), label)


def counterpart(sides: Sequence[Side], subject: Mapping[str, Any], run: str) -> Side:
    """The side of a run that a subject is compared with: the same data set, by content or name.

    Of several models on it the one of the same name, else the only one.

    Raises:
        InputError: none, or more than one that could be meant.
    """
    data = subject["dataset"]
    fits = [s for s in sides if s.subject["dataset"]["sha256"] == data["sha256"]]
    fits = fits or [s for s in sides if s.subject["dataset"]["name"] == data["name"]]
    if not fits:
        known = sorted({side.subject["dataset"]["name"] for side in sides})
        raise InputError(
            f"{run} has nothing on the images {data['name']!r} of {subject['id']}; "
            f"run both on the same --dataset; {nearest(data['name'], known)}"
        )
    name = subject["model"]["name"]
    same = [side for side in fits if side.subject["model"]["name"] == name]
    if len(same) == 1 or len(fits) == 1:
        return (same or fits)[0]
    models = ", ".join(side.subject["model"]["name"] for side in fits)
    raise InputError(
        f"{run} has {len(fits)} models on {data['name']!r} ({models}) and not one named {name!r}; "
        "compare with a run of a single model, or of a model of that name"
    )


def compare_runs(paths: Sequence[Path]) -> list[Comparison]:
    """Every subject of the later runs against its counterpart in the first.

    Subjects without one are refused, with the reason, unless a run has none with one.

    Raises:
        InputError: fewer than two files, one that cannot be read, other images or another protocol, a run
            of which no subject has a counterpart.
    """
    if len(paths) < 2:
        raise InputError("one results file; expected two or more, the old one first")
    first = open_run(paths[0])
    name = "/".join(paths[0].absolute().parts[-2:])
    pairs: list[tuple[Side, Side, str | None]] = []
    for path in paths[1:]:
        found = [_pair(first, side, name) for side in open_run(path)]
        if all(reason for *_, reason in found):
            raise InputError(found[0][2])
        pairs += found
    count = sum(reason is None for *_, reason in pairs)
    return [
        compare(reference, side, comparisons=count)
        if reason is None
        else refused(reference, side, kind="files", reason=reason)
        for reference, side, reason in pairs
    ]


def _pair(first: Sequence[Side], side: Side, name: str) -> tuple[Side, Side, str | None]:
    try:
        return counterpart(first, side.subject, name), side, None
    except InputError as error:
        return first[0], side, str(error)
