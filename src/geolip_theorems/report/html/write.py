"""From ``results.json`` and the companions beside it to the page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...compare.pairing import Side
from ...compare.ranking import rankings
from ...drawing.blocks import Note, Table, attempt, table
from ...drawing.shown import Shown
from ...drawing.text import about_family, headings, notes_on
from ...io.errors import InputError
from ...questions import Question, questions
from ...results.companion import of_subject
from ...results.record import read_results
from . import cards, comparing
from .shell import render_page, write_text

LEAD = (
    "What does a patch-SVD autoencoder keep, and what does it lose? Each question is answered with an "
    "interval and, where measured, beside models of the same shape with random weights."
)
NO_MAPS = (
    "no companion file (.maps.npz) lies beside this results file, so figures that need maps are left out"
)
ELSEWHERE = ("id", "verdicts", "measurements", "error", "notes")  # on the page
MOST_LISTED = 40  # entries of a list in a table's cell


def write_report(results_path: Path, out: Path) -> Path:
    """Write the report of a run.

    Args:
        results_path: a ``results.json``; the companions it names are looked for beside it.
        out: the HTML file to write; replaced whole or not at all.

    Returns:
        ``out``. The same record and companions give the same bytes.

    Raises:
        InputError: no readable record, or ``out`` cannot be written. A missing or damaged companion is
            no error: the page says what it lacks.

    Cost: 2 s of one core a subject, most of it drawing.
    """
    results = read_results(results_path)
    return write_text(out, "report", render(results, results_path.parent))


def render(results: dict[str, Any], folder: Path) -> str:
    """The page's text; ``folder`` is where the companions are."""
    subjects = [load(number, record, folder) for number, record in enumerate(results["subjects"], 1)]
    judged = {verdict["question"] for shown in subjects for verdict in shown.record["verdicts"]}
    extra = {question.id for question in questions() if question.on_request}
    standing = not judged or bool(judged - extra)  # else nothing but claims on request was measured
    sections = [
        (question, [(shown, blocks(question, shown)) for shown in subjects])
        for question in questions()
        if (question.figures() or question.tables())
        and (question.id in judged or (standing and not question.on_request))
    ]
    about = [cards.about(shown) for shown in subjects]
    measured = [
        Side(shown.record, shown.arrays, shown.record["id"])
        for shown in subjects
        if not shown.record["error"]
    ]
    return render_page(
        "page.html.j2",
        created=results["created"],
        what=headings(results["subjects"]),
        lead=LEAD,
        subjects=subjects,
        about=about,
        family=about_family(results["subjects"]),
        overview=cards.overview(about),
        sections=sections,
        comparisons=[
            comparing.section(number, found)
            for number, found in enumerate(results.get("comparisons") or [], 1)
        ],
        rankings=comparing.ranking_blocks(rankings(measured)),
        layout=layout,
        command=shlex.join(map(str, results["command"])),
        run=[
            listing("Environment", {**results["environment"], "record version": results["version"]}),
            *(
                listing(
                    f"Provenance of {shown.record['id']}",
                    {key: value for key, value in shown.record.items() if key not in ELSEWHERE},
                )
                for shown in subjects
            ),
        ],
    )


def load(number: int, record: Mapping[str, Any], folder: Path) -> Shown:
    """A subject with its companion; whatever is wrong with the companion is said, never raised."""
    try:
        arrays = of_subject(record, folder)
    except (InputError, LookupError, TypeError) as error:
        return Shown(number, record, {}, f"the companion file cannot be used: {error}")
    if arrays is None:
        return Shown(number, record, {}, None if record.get("error") else NO_MAPS)
    return Shown(number, record, arrays)


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


def listing(title: str, content: Mapping[str, Any]) -> Table:
    """Everything in a part of the record, a row each."""
    return table(title, ("what", "value"), [row for name in content for row in _flat(name, content[name])])


def _flat(name: str, value: Any) -> list[list[Any]]:
    name = name.replace("_", " ")
    if not isinstance(value, Mapping):
        return [[name, _plain(value)]]
    if " · " in name:  # a model's config and the like: one row
        return [[name, ", ".join(f"{key} = {_plain(inner)}" for key, inner in value.items())]]
    return [row for key, inner in value.items() for row in _flat(f"{name} · {key}", inner)]


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        more = f" and {len(value) - MOST_LISTED} more" if len(value) > MOST_LISTED else ""
        return ", ".join(map(str, value[:MOST_LISTED])) + more
    return str(value)
