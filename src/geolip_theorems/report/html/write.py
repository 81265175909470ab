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
from .shell import render_page, write_page

LEAD = (
    "What does a patch-SVD autoencoder keep, and what does it lose? Each question is answered with an "
    "interval and, where measured, beside models of the same shape with random weights."
)
NO_MAPS = (
    "no companion file (.maps.npz) lies beside this results file, so figures that need maps are left out"
)
STAGES = {
    "extraction_s": "extraction",
    "measures_s": "measures",
    "controls_s": "random-weight twins",
    "companion_s": "companion file",
}
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
    return write_page(render(results, results_path.parent), out, "report")


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
        timings=timings(subjects),
        environment=environment(results),
        provenance=[provenance(shown) for shown in subjects],
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


def timings(subjects: list[Shown]) -> Table:
    """What took how long."""
    rows = []
    for shown in subjects:
        found = shown.record.get("timings") or {}
        for key, value in found.items():
            if key.endswith("_s"):
                stage = STAGES.get(key, key[:-2].replace("_", " "))
                cached = ", read from the cache" if key == "extraction_s" and found.get("from_cache") else ""
                rows.append([shown.record["id"], stage + cached, float(value)])
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
    elsewhere = ("id", "verdicts", "measurements", "timings", "error", "notes")
    rows: list[list[Any]] = [["subject", shown.record["id"]]]
    for key, value in shown.record.items():
        rows += [] if key in elsewhere else _flat(key.replace("_", " "), value)
    return table(f"Provenance of {shown.record['id']}", ("what", "value"), rows)


def _flat(name: str, value: Any) -> list[list[Any]]:
    if not isinstance(value, Mapping):
        return [[name, _plain(value)]]
    if " · " in name:  # a model's config and the like: one row
        return [[name, ", ".join(f"{key} = {_plain(inner)}" for key, inner in value.items())]]
    parts = ((f"{name} · {str(key).replace('_', ' ')}", inner) for key, inner in value.items())
    return [row for part, inner in parts for row in _flat(part, inner)]


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {None: "–", True: "yes", False: "no"}[value]
    if isinstance(value, list):
        more = f" and {len(value) - MOST_LISTED} more" if len(value) > MOST_LISTED else ""
        return ", ".join(map(str, value[:MOST_LISTED])) + more
    return str(value)
