"""A run as Markdown, for a CI job's summary page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.text import VerdictRow, about_family, assumed, verdict_rows
from ..results.notes import described

MARKS = {
    "holds": "✅ holds",
    "fails": "❌ fails",
    "inconclusive": "❔ inconclusive",
    "not measured": "– not measured",
}


def summary(results: Mapping[str, Any]) -> str:
    """A heading and a table of verdicts for each subject of a ``results.json``."""
    parts = [part for subject in results["subjects"] for part in _subject(subject)]
    return "\n".join(["## Theorem 3: release fidelity", "", *parts, about_family(results["subjects"])])


def _subject(subject: Mapping[str, Any]) -> list[str]:
    model, dataset = subject["model"], subject["dataset"]
    lines = [f"### {subject['id']}", ""]
    about = f"{dataset['n_images']:,} images, device {subject['device']}, seed {subject['seed']}"
    lines += [f"Model `{model['name']}` ({model['sha256'][:12]}), images `{dataset['name']}`: {about}.", ""]
    lines += [
        f"> Stands in for {note}" for note in (model["substitute_for"], dataset["substitute_for"]) if note
    ]
    if note := assumed(model):
        lines += ["", f"> {note[0].upper()}{note[1:]}"]
    if subject["error"]:
        return [*lines, f"**{subject['error']}**", ""]
    columns = ("question", "claim", "value", "95 % interval", "threshold", "verdict")
    columns += ("beyond untrained weights", "the training's doing")
    lines += ["", f"| {' | '.join(columns)} |", "|---|---|---:|---|---:|---|---|---|"]
    lines += [*map(_row, verdict_rows(subject)), ""]
    return [*lines, *(f"> {line}\n" for line in described(subject.get("notes") or []))]


def _row(row: VerdictRow) -> str:
    mark = MARKS[row.word] + (f" ({row.mark})" if row.mark else "")
    cells = [
        row.question,
        row.title,
        row.value,
        row.interval,
        row.claimed,
        mark,
        row.attributed,
        row.training,
    ]
    return "| " + " | ".join(cells) + " |"
