"""Comparisons for people at a terminal: flipped verdicts first, then every metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..compare.judging import change, changes, said, size, toward
from ..drawing.text import number, places
from ..results.comparison import Comparison, Difference, Flip

STYLES = {
    "worse": "bold red",
    "lost": "bold red",
    "worse within chance": "yellow",
    "slightly worse": "yellow",
    "better": "green",
    "slightly better": "green",
    "differs": "cyan",
}
KINDS = {"baseline": "against the baseline", "models": "against the first model", "files": "comparison"}

NUMBERS = ("before", "now", "difference", "joint 95 % interval", "p (Holm)", "matters from")
COLUMNS = ("", "metric", *NUMBERS, "outcome")


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


def heading(comparison: Comparison) -> str:
    """What is compared with what."""
    return f"{KINDS[comparison.kind]}: {comparison.candidate['label']} beside {comparison.reference['label']}"


def closing(comparison: Comparison) -> str:
    """How many regressed."""
    lines = comparison.regressions()
    return f"{len(lines)} regressed" if lines else "nothing regressed"


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison with rich."""
    console.rule(heading(comparison), align="left", style="bold")
    if comparison.refused:
        console.print(Text(f"not compared: {comparison.refused}", style="yellow"))
        return
    flips = [flip for flip in comparison.verdicts if flip.outcome != "same"]
    for flip in flips:
        console.print(Text(describe_flip(flip), style=STYLES.get(flip.outcome, "")))
    if not flips:
        console.print(f"no verdict flipped ({len(comparison.verdicts)} compared)")
    console.print(metric_table(comparison))
    for note in comparison.notes:
        console.print(Text(f"note: {note}"))
    console.print(Text(closing(comparison), style="bold red" if comparison.regressions() else "green"))


def metric_table(comparison: Comparison) -> Table:
    """Every metric side by side; those without a better direction last."""
    table = Table(box=None, pad_edge=False)
    for column in COLUMNS:
        wide = column == "metric"
        table.add_column(
            column,
            justify="right" if column in NUMBERS else "left",
            no_wrap=not wide,
            min_width=24 if wide else None,
        )
    for found in comparison.metrics:
        *cells, outcome = texts(found)
        table.add_row(*cells, Text(outcome, style=STYLES.get(found.outcome, "")))
    paired = {found.paired for found in comparison.metrics if found.difference is not None}
    how = {(True,): "paired by image", (False,): "not paired by image"}.get(tuple(paired), "partly paired")
    table.caption = f"joint intervals hold all at once and decide; {how}; * describes, neither way is better"
    table.caption_justify = "left"
    return table


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


def timing_rows(comparison: Comparison) -> list[list[str]]:
    """Stage, seconds of either side and their ratio, where both were timed: single runs, no verdict."""
    rows = []
    for name, seconds in comparison.timings.items():
        before, now = seconds["reference"], seconds["candidate"]
        if before and now:
            label = name.removesuffix("_s").replace("_", " ")
            rows.append([label, f"{before:.2f}", f"{now:.2f}", f"{now / before:.2f}"])
    return rows
