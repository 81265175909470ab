"""From ``results.json`` and the companions beside it to the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...compare.pairing import Side
from ...compare.ranking import Ranking, rankings
from ...drawing.shown import Shown
from ...drawing.text import about_family, headings
from ...io.errors import InputError
from ...questions import questions
from ...results.companion import of_subject
from ...results.record import read_results
from . import cards, comparing, page
from .shell import render_page, write_page

NO_MAPS = (
    "no companion file (.maps.npz) lies beside this results file, so figures that need maps are left out"
)


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
        (question, [(shown, page.blocks(question, shown)) for shown in subjects])
        for question in questions()
        if (question.figures() or question.tables())
        and (question.id in judged or (standing and not question.on_request))
    ]
    return render_page(
        "page.html.j2",
        results=results,
        subjects=subjects,
        cards={shown.number: cards.cards(shown) for shown in subjects},
        headlines={shown.number: cards.headline(shown) for shown in subjects},
        tallies={shown.number: cards.tally(shown) for shown in subjects},
        tables={shown.number: cards.verdict_table(shown) for shown in subjects if shown.record["verdicts"]},
        headings=headings(results["subjects"]),
        family=about_family(results["subjects"]),
        overview=cards.overview(subjects),
        sections=sections,
        comparisons=[
            (comparing.heading(found), comparing.comparison_blocks(number, found))
            for number, found in enumerate(results.get("comparisons") or [], 1)
        ],
        rankings=comparing.ranking_blocks(_rankings(subjects)),
        layout=page.layout,
        command=page.command(results),
        timings=page.timings(subjects),
        environment=page.environment(results),
        provenance=[page.provenance(shown) for shown in subjects],
    )


def _rankings(subjects: Sequence[Shown]) -> list[Ranking]:
    """Of the subjects that were measured, with the arrays that are there."""
    measured = [shown for shown in subjects if not shown.record["error"]]
    return rankings([Side(shown.record, shown.arrays, shown.record["id"]) for shown in measured])


def load(number: int, record: Mapping[str, Any], folder: Path) -> Shown:
    """A subject with its companion; whatever is wrong with the companion is said, never raised."""
    try:
        arrays = of_subject(record, folder)
    except (InputError, LookupError, TypeError) as error:
        return Shown(number, record, {}, f"the companion file cannot be used: {error}")
    if arrays is None:
        return Shown(number, record, {}, None if record.get("error") else NO_MAPS)
    return Shown(number, record, arrays)
