"""The history of a subject as a page: every figure over the versions, flips and change points marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from ...compare.history import History, Series, events
from ...compare.judging import said
from ...drawing.blocks import Figure, Note, attempt, table
from ...drawing.charts import INTERVAL, VALUE
from ...drawing.figures import panel
from ...drawing.style import ACCENT, PAPER, WARM, drawing, short
from ...results.record import now
from ..comparison import value
from .shell import render_page, write_page

HEIGHT = 2.0  # inches of a figure
MOST_NAMES = 6  # versions named at an axis; of more some are left out
PLAIN = {"marker": "o", "ms": 4.5}
FLIPPED = {"marker": "D", "ms": 7, "mfc": PAPER, "mew": 1.6}
LEAD = (
    "Every figure over the versions, oldest first, with its 95 % interval. A change point is a version that "
    "differs beyond chance from the one at the change point before: the intervals of these differences hold "
    "at once for all pairs of versions and all metrics of a kind."
)


def write_history(histories: Sequence[History], out: Path) -> Path:
    """Write the page, whole or not at all.

    Raises:
        InputError: ``out`` cannot be written.
    """
    changes = sum(len(series.changes) for found in histories for series in found.series)
    flips = sum(len(f) for found in histories for series in found.series for f in series.flips.values())
    text = render_page(
        "base.html.j2",
        created=now(),
        what="history of a model",
        headline=f"{counted(flips, 'flip')}, {counted(changes, 'change point')}",
        lead=LEAD,
        sections=[(found.subject, blocks(number, found)) for number, found in enumerate(histories, 1)],
    )
    return write_page(text, out, "history")


def counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def blocks(number: int, found: History) -> list[Any]:
    """What happened, a figure per metric, and all numbers."""
    left_out = [Note(f"{name} is left out: {why}.") for name, why in found.left_out.items()]
    happened = events(found)
    told = replace(table("What happened", ("version", "question", "what", "how"), happened), opened=True)
    drawn = [
        block
        for series in found.series
        for block in attempt(_figure, series, found, f"h{number}-{series.metric.replace('.', '-')}")
    ]
    return [*left_out, *([told] if happened else [Note("Nothing changed.")]), *drawn, _numbers(found)]


def _figure(series: Series, found: History, key: str) -> Figure:
    names = [short(name) for name, _ in found.versions]
    scale = 100 if series.unit == "pp" else 1
    with drawing(HEIGHT) as (figure, axes):
        for place, entry in enumerate(series.figures):
            if entry is not None:
                style = {"color": WARM if place in series.changes else ACCENT}
                mark = FLIPPED if place in series.flips else PLAIN
                ends = entry["ci95"] or [entry["value"]] * 2
                axes.plot([place] * 2, [scale * end for end in ends], lw=2.4, gid=INTERVAL, **style)
                axes.plot(place, scale * entry["value"], gid=VALUE, **style, **mark)
        for place in series.changes:
            axes.axvline(place - 0.5, color=WARM, lw=1.1, ls=(0, (4, 2)))
        axes.set_xlim(-0.6, len(names) - 0.4)
        axes.xaxis.set_major_locator(MaxNLocator(MOST_NAMES, integer=True))
        shown = [int(at) for at in axes.get_xticks() if 0 <= at < len(names) and at == int(at)]
        axes.set_xticks(shown, [names[at] for at in shown])
        axes.grid(axis="y")
        axes.set_ylabel("percentage points" if series.unit == "pp" else "")
    caption = _caption(series, [name for name, _ in found.versions])
    alt = f"{series.title} over {len(names)} versions. {caption}"
    return panel(series.title, key, figure, alt, caption)


def _caption(series: Series, names: Sequence[str]) -> str:
    changed = [f"{names[i]}, {said(change.outcome, change.metric)}" for i, change in series.changes.items()]
    flipped = [
        f"{names[i]}, {flip.title}: {flip.candidate} after {flip.reference}"
        for i, flips in series.flips.items()
        for flip in flips
    ]
    words = f"Change points: {'; '.join(changed)}." if changed else "No change beyond chance."
    return words + (f" Diamonds, verdicts that flipped: {'; '.join(flipped)}." if flipped else "")


def _numbers(found: History) -> Any:
    rows = [
        [series.title, *(value(entry, series.unit) if entry else None for entry in series.figures)]
        for series in found.series
    ]
    return table("All figures", ("metric", *(name for name, _ in found.versions)), rows)
