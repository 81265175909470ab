"""A run as Markdown, for a CI job's summary page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..drawing.text import VerdictRow, about_family, assumed, described, headings, under_headings
from ..io.text import LONGEST_NAME, markdown

MARKS = {
    "holds": "✅ holds",
    "fails": "❌ fails",
    "inconclusive": "❔ inconclusive",
    "not measured": "– not measured",
}


def summary(results: Mapping[str, Any]) -> str:
    """A heading and a table of verdicts for each subject of a ``results.json``."""
    parts = [part for subject in results["subjects"] for part in _subject(subject)]
    subjects = results["subjects"]
    return "\n".join([f"## {headings(subjects)}", "", *parts, about_family(subjects)])


def _subject(subject: Mapping[str, Any]) -> list[str]:
    model, dataset = subject["model"], subject["dataset"]
    lines = [f"### {markdown(subject['id'], LONGEST_NAME)}", ""]
    about = f"{dataset['n_images']:,} images, device {subject['device']}, seed {subject['seed']}"
    weights, images = (markdown(named["name"], LONGEST_NAME) for named in (model, dataset))
    lines += [f"Model **{weights}** ({model['sha256'][:12]}), images **{images}**: {about}.", ""]
    notes = [note for note in (model["substitute_for"], dataset["substitute_for"]) if note]
    lines += [f"> Stands in for {markdown(note)}" for note in notes]
    if note := assumed(model):
        lines += ["", f"> {markdown(note[0].upper() + note[1:])}"]
    if subject["error"]:
        return [*lines, f"**{markdown(subject['error'])}**", ""]
    columns = ("question", "claim", "value", "95 % interval", "threshold", "verdict")
    columns += ("beyond untrained weights", "the training's doing")
    top = [f"| {' | '.join(columns)} |", "|---|---|---:|---|---:|---|---|---|"]
    for number, (heading, rows) in enumerate(under_headings(subject).items()):
        lines += ["", *([f"{heading}:", ""] if number else []), *top, *map(_row, rows)]
    lines.append("")
    return [*lines, *(f"> {markdown(line)}\n" for line in described(subject.get("notes") or []))]


def _row(row: VerdictRow) -> str:
    mark = MARKS[row.word] + (f" ({row.mark})" if row.mark else "")
    named = map(markdown, (row.question, row.title))
    cells = (*named, row.value, row.interval, row.claimed, mark, row.attributed, row.training)
    return f"| {' | '.join(cells)} |"
