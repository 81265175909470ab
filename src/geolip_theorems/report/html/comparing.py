"""Pages of comparisons, with flipped verdicts first, and of a model's history over its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from matplotlib.ticker import MaxNLocator

from ...compare.history import History, Series, events
from ...compare.judging import change, said, toward
from ...compare.ranking import Ranking
from ...drawing.blocks import ABSENT, Cell, Figure, Note, Table, attempt, table
from ...drawing.charts import INTERVAL, ROW, VALUE, fold, named_rows
from ...drawing.figures import panel
from ...drawing.style import ACCENT, GRID, MUTED, PAPER, SOFT, WARM, drawing, short
from ...drawing.text import upper_first
from ...io.text import clean
from ...results.comparison import Comparison, Difference, regressed
from ...results.record import finite, now
from ..comparison import ABOUT_RANKS, NUMBERS, heading, ranked, texts, value
from .shell import minus, write_page

ABOUT_COMPARISON = (
    "Every figure of the later runs beside the first: paired by image where both saw the same images. A "
    "joint interval holds together with all the others; one that lies beyond the smallest change of interest "
    "in the bad direction is a regression."
)
ABOUT_HISTORY = (
    "Every figure over the versions, oldest first, with its 95 % interval. A change point is a version that "
    "differs beyond chance from the one at the change point before: the intervals of these differences hold "
    "at once for all pairs of versions and all metrics of a kind."
)
HEIGHT = 2.0  # inches of a figure
MOST_NAMES = 6  # versions named at an axis; of more some are left out
PLAIN = {"marker": "o", "ms": 4.5}
FLIPPED = {"marker": "D", "ms": 7, "mfc": PAPER, "mew": 1.6}
BAD = ("worse", "lost", "worse within chance", "slightly worse")
FOREST = 4.2  # inches wide: on a phone its type is legible, on a desk it has a line of its own
FAR = 8.0  # smallest changes; where one is larger the scale becomes logarithmic


def write_comparison(comparisons: Sequence[Comparison], out: Path, ranked: Sequence[Ranking] = ()) -> Path:
    """Write the page of one or more comparisons, whole or not at all; ``ranked`` are of all its models.

    Raises:
        InputError: ``out`` cannot be written.
    """
    sections = [("All models", ranking_blocks(ranked))] if ranked else []
    sections += [
        section(number, clean(finite(found.to_dict()))) for number, found in enumerate(comparisons, 1)
    ]
    return write_page(
        out,
        "comparison",
        "base.html.j2",
        created=now(),
        what="comparison of runs",
        headline=regressed(comparisons).capitalize(),
        lead=ABOUT_COMPARISON,
        sections=sections,
    )


def section(number: int, content: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Title and blocks of one comparison as it stands in ``results.json``."""
    try:
        found = msgspec.convert(content, Comparison)
    except msgspec.ValidationError as error:
        return "Comparison", [Note(f"Not as this version writes it: {error}.")]
    title = upper_first(heading(found))
    if found.refused:
        return title, [Note(f"Not compared: {found.refused}")]
    changed = [flip for flip in found.verdicts if flip.outcome != "same"]
    text = f"{len(changed)} of {len(found.verdicts)} verdicts flipped; {regressed([found])}."
    notes = [Note(f"{upper_first(note)}.") for note in found.notes]
    drawn = forest(found, number)
    return title, [
        Note(text),
        replace(_verdicts(found), opened=bool(changed)),
        *([drawn] if drawn else []),
        metric_table(found),
        *notes,
    ]


def ranking_blocks(found: Sequence[Ranking]) -> list[Table]:
    """The table of all models of a run, for each set of images; nothing for fewer than three."""
    return [
        replace(table(title, columns[1:], [_ranked(row[1:]) for row in rows], ABOUT_RANKS), opened=True)
        for title, columns, rows in ranked(found)
    ]


def _ranked(row: Sequence[str]) -> list[Any]:
    return [row[0], *(Cell(minus(text), text) for text in row[1:])]


def _verdicts(comparison: Comparison) -> Table:
    def rank(flip: Any) -> tuple[bool, bool, str]:
        return flip.outcome == "same", flip.outcome not in BAD, flip.question

    rows = [
        [flip.title, toward(flip.outcome), flip.reference, flip.candidate, flip.reason, flip.question]
        for flip in sorted(comparison.verdicts, key=rank)
    ]
    columns = ("claim", "outcome", "before", "now", "why", "question")
    return replace(table("Verdicts before and now", columns, rows), stacks=True)


def forest(comparison: Comparison, number: int) -> Figure | None:
    """Differences in units of the smallest change of interest, better or toward the claim to the right."""
    rows = [d for d in comparison.metrics if d.difference is not None and d.better and d.smallest]
    if not rows:
        return None
    with drawing(1.1 + 1.7 * ROW * max(len(rows), 2), width=FOREST) as (figure, axes):
        axes.axvspan(-1, 1, color=SOFT, lw=0)
        axes.axvline(0, color=MUTED, lw=1)
        for place, d in enumerate(rows):
            scale, colour = d.better / d.smallest, WARM if d.outcome in BAD else ACCENT
            ends = np.multiply(d.joint or (d.difference,) * 2, scale)
            axes.plot(ends, [place] * 2, color=colour, lw=2.4, solid_capstyle="butt", gid=INTERVAL)
            axes.plot(d.difference * scale, place, "o", ms=4.5, color=colour, gid=VALUE)
        named_rows(axes, [fold(d.title) for d in rows], 0.6)
        reach = max(1.5, *map(abs, axes.get_xlim()))
        far = reach > FAR
        if far:
            axes.set_xscale("symlog", linthresh=2, linscale=1)
            axes.xaxis.set_major_formatter("{x:g}")
            reach *= 2  # a point at the end is whole
        axes.set_xlim(-reach, reach)
        axes.grid(axis="y", color=GRID)
        figure.supxlabel(
            "change, in smallest changes of interest\n← worse, away from the claim  ·  better, toward it →"
        )
    worse = [f"{d.title} {change(d.difference, d.unit)}" for d in rows if d.outcome == "worse"]
    alt = f"Changes of {len(rows)} metrics; regressed: {', '.join(worse) or 'none'}"
    caption = (
        "Bars: intervals that hold all at once with 95 %. Within the shaded band a change is too small to "
        "matter. A bar wholly left of the band is a regression."
    )
    caption += " Beyond two such changes the scale is logarithmic." if far else ""
    return panel("What changed", f"c{number}-forest", figure, alt, caption, wide=True)


def metric_table(comparison: Comparison) -> Table:
    """Every metric side by side."""
    rows = []
    for d in comparison.metrics:
        _, title, *numbers, outcome = texts(d)
        sides = [side and side["value"] for side in (d.reference, d.candidate)]
        keys = [*sides, d.difference, d.joint and d.joint[0], d.p_holm, d.smallest]
        cells = [
            ABSENT if key is None else Cell(minus(text), float(key))
            for text, key in zip(numbers, keys, strict=True)
        ]
        rows.append([title, outcome, _why(d), *cells])
    caption = "* describes the model; neither way is better."
    made = table("Every metric before and now", ("metric", "outcome", "why", *NUMBERS), rows, caption)
    return replace(made, opened=True, stacks=True)


def _why(found: Difference) -> str:
    """The reason without the numbers that stand beside it."""
    if found.joint is None:
        return found.reason
    words, colon, _ = found.reason.partition(": ")
    if not colon and found.outcome != "same":
        words = "beyond chance"
    return f"{words}; {'paired' if found.paired else 'unpaired'} images"


def write_history(histories: Sequence[History], out: Path) -> Path:
    """Write the page, whole or not at all.

    Raises:
        InputError: ``out`` cannot be written.
    """
    changes = sum(len(series.changes) for found in histories for series in found.series)
    flips = sum(len(f) for found in histories for series in found.series for f in series.flips.values())
    return write_page(
        out,
        "history",
        "base.html.j2",
        created=now(),
        what="history of a model",
        headline=f"{flips} flip{'s' * (flips != 1)}, {changes} change point{'s' * (changes != 1)}",
        lead=ABOUT_HISTORY,
        sections=[
            (found.subject, history_blocks(number, found)) for number, found in enumerate(histories, 1)
        ],
    )


def history_blocks(number: int, found: History) -> list[Any]:
    """What happened, a figure per metric, and all numbers."""
    left_out = [Note(f"{name} is left out: {why}.") for name, why in found.left_out.items()]
    happened = events(found)
    told = replace(table("What happened", ("version", "question", "what", "how"), happened), opened=True)
    drawn = [
        block
        for series in found.series
        for block in attempt(_over_time, series, found, f"h{number}-{series.metric.replace('.', '-')}")
    ]
    return [*left_out, *([told] if happened else [Note("Nothing changed.")]), *drawn, _numbers(found)]


def _over_time(series: Series, found: History, key: str) -> Figure:
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
