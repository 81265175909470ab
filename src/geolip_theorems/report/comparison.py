"""Comparisons for people at a terminal: flipped verdicts first, then every metric, then timings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..comparison import Comparison, Difference, Flip, change, size

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


def describe_flip(flip: Flip) -> str:
    """A line about one claim's verdict."""
    return f"{flip.question}: {flip.title}: {flip.outcome.upper()}: {flip.reason}"


def describe_difference(found: Difference) -> str:
    """A line about one metric."""
    return f"{found.question}: {found.title} ({found.metric}): {found.outcome.upper()}: {found.reason}"


def value(figure: dict[str, Any] | None, unit: str) -> str:
    """A figure's value as its unit has it; a relative metric's own value has none."""
    if figure is None or figure["value"] is None:
        return "-"
    return f"{100 * figure['value']:.2f}" if unit == "pp" else f"{figure['value']:.4g}"


def span(ends: Sequence[float] | None, unit: str) -> str:
    """``[low, high]`` of a difference, without its unit, or a dash."""
    if ends is None:
        return "-"
    return "[" + ", ".join(f"{100 * end:+.2f}" if unit else f"{end:+.4g}" for end in ends) + "]"


def p_value(p: float | None) -> str:
    """A p with three digits, or a dash."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison."""
    title = (
        f"{KINDS[comparison.kind]}: {comparison.candidate['label']} beside {comparison.reference['label']}"
    )
    console.rule(title, align="left", style="bold")
    if comparison.refused:
        console.print(Text(f"not compared: {comparison.refused}", style="yellow"))
        return
    flips = [flip for flip in comparison.verdicts if flip.outcome != "same"]
    for flip in flips:
        console.print(Text(describe_flip(flip), style=STYLES.get(flip.outcome, "")))
    if not flips:
        console.print(f"no verdict flipped ({len(comparison.verdicts)} compared)")
    console.print(metric_table(comparison))
    timings = timing_table(comparison)
    if timings is not None:
        console.print(timings)
    for note in comparison.notes:
        console.print(Text(f"note: {note}"))
    lines = comparison.regressions()
    mark = Text(
        f"{len(lines)} regressed" if lines else "nothing regressed", style="bold red" if lines else "green"
    )
    console.print(mark)


def metric_table(comparison: Comparison) -> Table:
    """Every metric side by side; those without a better direction last."""
    table = Table(box=None, pad_edge=False, title_justify="left")
    table.add_column("")
    table.add_column("metric", min_width=24)
    for column in ("before", "now", "difference", "joint 95 % interval", "p (Holm)", "matters from"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for found in comparison.metrics:
        table.add_row(*_row(found))
    paired = {found.paired for found in comparison.metrics if found.difference is not None}
    how = {(True,): "paired by image", (False,): "not paired by image"}.get(tuple(paired), "partly paired")
    table.caption = f"joint intervals hold all at once and decide; {how}; * describes, neither way is better"
    table.caption_justify = "left"
    return table


def _row(found: Difference) -> list[RenderableType]:
    unit = found.unit
    known = found.difference is not None
    mark = "" if found.paired or not known else " (unpaired)"
    return [
        found.question,
        found.title + ("" if found.better else " *"),
        value(found.reference, unit),
        value(found.candidate, unit),
        change(found.difference, unit) if known else "-",
        span(found.joint, unit),
        p_value(found.p_holm),
        size(found.smallest, unit),
        Text(found.outcome + mark, style=STYLES.get(found.outcome, "")),
    ]


def timing_table(comparison: Comparison) -> Table | None:
    """Seconds by stage, where both sides were timed; single runs, so no verdict hangs on them."""
    both = {k: v for k, v in comparison.timings.items() if v["reference"] and v["candidate"]}
    if not both:
        return None
    table = Table(box=None, pad_edge=False)
    table.add_column("timing, seconds")
    for column in ("before", "now", "ratio"):
        table.add_column(column, justify="right")
    for name, seconds in both.items():
        ratio = seconds["candidate"] / seconds["reference"]
        label = name.removesuffix("_s").replace("_", " ")
        table.add_row(label, f"{seconds['reference']:.2f}", f"{seconds['candidate']:.2f}", f"{ratio:.2f}")
    return table
