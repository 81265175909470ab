"""The page: what goes where."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ...drawing.blocks import Cell, Note, Table, attempt, table
from ...drawing.shown import Shown
from ...questions import Question
from ...results.notes import notes_on


def blocks(question: Question, shown: Shown) -> list[Any]:
    """A question's blocks for one subject; a sentence where there is nothing."""
    if shown.record.get("error"):
        return [Note(f"Not measured: {shown.record['error']}")]
    if not shown.record.get("measurements"):
        return [Note("Nothing was measured.")]
    made = [Note(text) for text in notes_on(shown.record, question.id)]
    builders = (*question.figures(), *question.tables())
    made += [block for builder in builders for block in attempt(builder, shown)]
    if not shown.classes and any(metric.needs_labels for metric in question.metrics):
        return [Note("The images have no labels, and this question compares classes."), *made]
    return made or [Note("This question was not measured.")]


def layout(made: list[Any]) -> str:
    """How many panels stand side by side: two where three would leave one alone in its row."""
    narrow = [block for block in made if not getattr(block, "wide", True)]
    return "pairs" if len(narrow) % 3 == 1 and len(narrow) > 1 else "threes"


def command(results: Mapping[str, Any]) -> str:
    """The exact command as one would type it."""
    return shlex.join(str(word) for word in results.get("command") or [])


def timings(subjects: list[Shown]) -> Table:
    """What took how long."""
    names = {
        "extraction_s": "extraction",
        "measures_s": "measures",
        "controls_s": "random-weight twins",
        "companion_s": "companion file",
    }
    rows = []
    for shown in subjects:
        found = shown.record.get("timings") or {}
        cached = ", read from the cache" if found.get("from_cache") else ""
        for key, value in found.items():
            if key.endswith("_s") and isinstance(value, (int, float)) and not isinstance(value, bool):
                name = names.get(key, key[:-2].replace("_", " "))
                note = cached if key == "extraction_s" else ""
                rows.append([shown.record["id"], name + note, float(value)])
    return table("Timings", ("subject", "stage", "seconds"), rows)


def environment(results: Mapping[str, Any]) -> Table:
    """Versions and machine."""
    found = results.get("environment") or {}
    rows = [[key.replace("_", " "), _plain(value)] for key, value in found.items() if key != "packages"]
    rows += [[name, str(version)] for name, version in (found.get("packages") or {}).items()]
    rows.append(["record", f"{results.get('format')}, version {results.get('version')}"])
    return table("Environment", ("what", "version or value"), rows)


def provenance(shown: Shown) -> Table:
    """Where model and images come from, with every hash and setting of the record."""
    rows: list[list[Any]] = [["subject", shown.record["id"]]]
    known = ("id", "verdicts", "measurements", "timings", "error", "notes")
    for key, value in shown.record.items():
        if key in known:
            continue
        rows += _flat(key.replace("_", " "), value)
    return table(f"Provenance of {shown.record['id']}", ("what", "value"), rows)


def _flat(name: str, value: Any) -> list[list[Any]]:
    if isinstance(value, Mapping) and " · " in name:  # a model's config and the like: one row
        text = ", ".join(f"{key} = {_plain(inner)}" for key, inner in value.items())
        return [[name, Cell(text, text)]]
    if isinstance(value, Mapping):
        return [
            row
            for key, inner in value.items()
            for row in _flat(f"{name} · {str(key).replace('_', ' ')}", inner)
        ]
    return [[name, Cell(_plain(value), _plain(value))]]


def _plain(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        shown = ", ".join(map(str, value[:40]))
        return shown + (f" and {len(value) - 40} more" if len(value) > 40 else "")
    return str(value)
