"""Comparisons and rankings for people at a terminal: flipped verdicts first, then every metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from ..compare.judging import change, changes, said, size, toward
from ..compare.ranking import Place, Ranking
from ..drawing.text import number, places
from ..io.console import table
from ..results.comparison import Comparison, Difference, Flip, regressed

BAD, DOUBTFUL, GOOD = "bold red", "yellow", "green"
STYLES = {"worse": BAD, "lost": BAD, "worse within chance": DOUBTFUL, "slightly worse": DOUBTFUL}
STYLES |= {"better": GOOD, "slightly better": GOOD, "differs": "cyan"}
KINDS = {"baseline": "against the baseline", "models": "against the first model", "files": "comparison"}
NUMBERS = ("before", "now", "difference", "joint 95 % interval", "p (Holm)", "matters from")
COLUMNS = ("", "metric", *NUMBERS, "outcome")
PAIRED = {(True,): "paired by image", (False,): "not paired by image"}
ABOUT_RANKS = (
    "In brackets the ranks a model may have, 1 the best or the furthest toward the claim: all of a row hold "
    "at once with 95 %. Models whose ranks overlap are not told apart by these images."
)


def describe_flip(flip: Flip) -> str:
    """A line about one claim's verdict."""
    return f"{flip.question}: {flip.title}: {toward(flip.outcome).upper()}: {flip.reason}"


def describe_difference(found: Difference) -> str:
    """A line about one metric."""
    outcome = said(found.outcome, found.metric).upper()
    return f"{found.question}: {found.title} ({found.metric}): {outcome}: {found.reason}"


def value(figure: dict[str, Any] | None, unit: str) -> str:
    """A figure's value as its unit has it; a relative metric's own value has none."""
    if figure is None or figure["value"] is None:
        return "-"
    if unit == "pp":
        return f"{100 * figure['value']:.2f}"
    return number(figure["value"], decimals=places(figure.get("ci95")))


def span(ends: Sequence[float] | None, unit: str) -> str:
    """``[low, high]`` of a difference, without its unit, or a dash."""
    if ends is None:
        return "-"
    return "[" + ", ".join(text.partition(" ")[0] for text in changes(ends, unit)) + "]"


def p_value(p: float | None) -> str:
    """A p with three digits, or a dash."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def heading(found: Comparison) -> str:
    """What is compared with what."""
    return f"{KINDS[found.kind]}: {found.candidate['label']} beside {found.reference['label']}"


def rendered(comparison: Comparison) -> Iterator[RenderableType]:
    """A comparison, to print with rich."""
    yield Text(heading(comparison), "bold")
    if comparison.refused:
        yield Text(f"not compared: {comparison.refused}", DOUBTFUL)
        return
    flips = [flip for flip in comparison.verdicts if flip.outcome != "same"]
    yield from (Text(describe_flip(flip), STYLES.get(flip.outcome, "")) for flip in flips)
    if not flips:
        yield Text(f"no verdict flipped ({len(comparison.verdicts)} compared)")
    rows = [
        (*cells, Text(outcome, STYLES.get(found.outcome, "")))
        for found in comparison.metrics
        for *cells, outcome in [texts(found)]
    ]
    yield table(COLUMNS, rows, right=NUMBERS, wrapped=("metric",))
    how = tuple({found.paired for found in comparison.metrics if found.difference is not None})
    yield Text(
        f"joint intervals hold all at once and decide; {PAIRED.get(how, 'partly paired')}; * describes, "
        "neither way is better",
        "italic",
    )
    yield from (Text(f"note: {note}") for note in comparison.notes)
    yield Text(regressed([comparison]), BAD if comparison.regressions() else GOOD)


def texts(found: Difference) -> list[str]:
    """A metric's row, by ``COLUMNS``."""
    unit, known = found.unit, found.difference is not None
    return [
        found.question,
        found.title + ("" if found.better else " *"),
        value(found.reference, unit),
        value(found.candidate, unit),
        change(found.difference, unit) if known else "-",
        span(found.joint, unit),
        p_value(found.p_holm),
        size(found.smallest, unit),
        said(found.outcome, found.metric) + ("" if found.paired or not known else " (unpaired)"),
    ]


def ranked(found: Sequence[Ranking]) -> Iterator[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Heading, columns and rows of the table of all models, for each set of images."""
    groups = groupby(found, lambda ranking: (ranking.dataset, [place.model for place in ranking.places]))
    for (dataset, models), group in groups:
        rows = [
            [
                ranking.question,
                ranking.title,
                *(_place(place, ranking.unit) for place in ranking.places),
                f"{ranking.apart} of {ranking.pairs} pairs",
            ]
            for ranking in group
        ]
        yield f"{len(models)} models on {dataset}", ("", "metric", *models, "told apart"), rows


def _place(place: Place, unit: str) -> str:
    """A figure and its model's ranks: ``0.634 (1–2)``."""
    if place.ranks is None:
        return "-"
    low, high = place.ranks
    figure = value({"value": place.value, "ci95": place.ci95}, unit)
    ranks = f"{low}" if low == high else f"{low}–{high}"
    return f"{figure}{' pp' if unit == 'pp' else ''} ({ranks})"
