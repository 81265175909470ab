"""From ``results.json`` and the companions beside it to the page."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ...errors import InputError
from ...model.writing import write_atomically
from ...record import read_results
from . import cards, comparing, page
from .shown import clean, load


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

    Cost: 3 s of one core a subject, most of it drawing.
    """
    results = clean(read_results(results_path))
    text = render(results, results_path.parent)
    try:
        write_atomically(out, lambda name: Path(name).write_text(text, encoding="utf-8"))
    except OSError as error:
        raise InputError(
            f"report {str(out)!r} cannot be written ({error.strerror}); give another place for it"
        ) from None
    return out


def render(results: dict[str, Any], folder: Path) -> str:
    """The page's text; ``folder`` is where the companions are."""
    environment = Environment(
        loader=PackageLoader("geolip_theorems.report.html"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    subjects = [load(number, record, folder) for number, record in enumerate(results["subjects"], 1)]
    source = environment.loader.get_source
    style, script = (Markup(source(environment, name)[0]) for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    sections = [
        (question, [(shown, page.blocks(question, shown)) for shown in subjects])
        for question in page.QUESTIONS
    ]
    return environment.get_template("page.html.j2").render(
        results=results,
        subjects=subjects,
        style=style,
        script=script,
        script_hash=digest,
        cards={shown.number: cards.cards(shown) for shown in subjects},
        tallies={shown.number: cards.tally(shown) for shown in subjects},
        tables={shown.number: cards.verdict_table(shown) for shown in subjects if shown.record["verdicts"]},
        overview=cards.overview(subjects) if len(subjects) > 1 else [],
        sections=sections,
        comparisons=[
            (comparing.heading(found), comparing.comparison_blocks(number, found))
            for number, found in enumerate(results.get("comparisons") or [], 1)
        ],
        layout=page.layout,
        command=page.command(results),
        timings=page.timings(subjects),
        environment=page.environment(results),
        provenance=[page.provenance(shown) for shown in subjects],
    )
