"""Runs on disk as sides of a comparison: a results file, its companions, and which subject answers which."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..io.errors import InputError, nearest
from ..io.text import printable
from ..questions import metrics
from ..results import companion
from ..results.comparison import Comparison
from ..results.record import read_results
from .baselines import SWAP_S, standing
from .conditions import conditions
from .judging import RANK, compare, refused
from .pairing import Side

READINGS = 5  # of a run whose files are replaced meanwhile
BROKEN = (KeyError, TypeError, ValueError, AttributeError, IndexError)


def open_run(path: Path, label: str = "") -> list[Side]:
    """The measured subjects of a results file with their companions' arrays.

    Args:
        path: a ``results.json``. label: what the terminal calls the run; by default its folder and name.

    Raises:
        InputError: the file cannot be read, holds no measured subject, or a companion is damaged or belongs
            to another record. A missing companion is no error: the side says that it cannot be paired.
    """
    for attempt in range(READINGS):
        error = None
        with standing(path):
            before = _identity(path)
            try:
                sides = _open(path, label)
            except InputError as found:
                error = found
            still = before == _identity(path)
        # What was read while a baseline was replaced may be of both; a missing file may be back in a moment.
        if still and (before is not None or attempt):
            break
        time.sleep(SWAP_S)
    else:
        raise InputError(f"results file {path.name!r} was replaced each time it was read; try again")
    if error is not None:
        raise error
    return sides


def _identity(path: Path) -> tuple[int, ...] | None:
    """What changes when another file stands at a path, or None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _open(path: Path, label: str) -> list[Side]:
    content = read_results(path)
    try:
        subjects = [subject for subject in content["subjects"] if not subject["error"]]
        for subject in subjects:
            _check_shape(subject)
    except BROKEN as error:
        kind = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise InputError(
            f"results file {path.name!r} is not as this suite writes it ({kind}); run the suite again"
        ) from None
    if not subjects:
        raise InputError(f"results file {path.name!r} holds no measured subject; run the suite again")
    label = printable(label or "/".join(path.absolute().parts[-2:]))
    return [_side(subject, path.parent, label) for subject in subjects]


def _check_shape(subject: Mapping[str, Any]) -> None:
    """Touch everything a comparison reads; raises one of ``BROKEN`` where it is not as it should be."""
    conditions(subject)
    _ = subject["id"] + subject["device"] + subject["model"]["name"] + subject["model"]["sha256"]
    _ = subject["dataset"]["name"] + "", subject["timings"].items(), subject["dataset"]["classes"]
    if subject.get("companion"):
        _ = subject["companion"]["file"] + subject["companion"]["sha256"]
    for verdict in subject["verdicts"]:
        _ = verdict["metric"] + verdict["title"] + verdict["question"]
        if verdict["verdict"] not in (*RANK, "not measured"):
            raise ValueError(f"verdict {verdict['verdict']!r}")
    for _, metric in metrics():
        figure = metric.of(subject["measurements"].get("calibrated"))
        if figure is not None and figure.get("value") is not None:
            _ = float(figure["value"]), [float(end) for end in figure.get("ci95") or (0, 0)][1]


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
