"""Comparisons with a baseline or between models: flipped verdicts first, then every metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes

from ...compare.judging import change, said, size, toward
from ...compare.ranking import Ranking
from ...drawing.blocks import ABSENT, Cell, Note, Table, attempt, table
from ...drawing.charts import INTERVAL, ROW, VALUE, fold, named_rows
from ...drawing.figures import framed
from ...drawing.style import ACCENT, GRID, MUTED, SMALL, SOFT, WARM, drawing
from ..comparison import ABOUT_RANKS, KINDS, p_value, ranked, span, value
from .shell import minus

BAD = ("worse", "lost", "worse within chance", "slightly worse")
FOREST = 4.2  # inches wide: on a phone its type is legible, on a desk it has a line of its own
FARTHEST = 8.0  # smallest changes a bar may reach; longer ones are cut


def comparison_blocks(number: int, comparison: Mapping[str, Any]) -> list[Any]:
    """The blocks of one comparison as it stands in ``results.json``."""
    if comparison.get("refused"):
        return [Note(f"Not compared: {comparison['refused']}")]
    builders = (flips, forest, metric_table, notes)
    return [block for builder in builders for block in attempt(builder, comparison, number)]


def ranking_blocks(found: Sequence[Ranking]) -> list[Any]:
    """The table of all models of a run, for each set of images; nothing for fewer than three."""
    return [
        replace(table(title, columns[1:], [_ranked(row[1:]) for row in rows], ABOUT_RANKS), opened=True)
        for title, columns, rows in ranked(found)
    ]


def _ranked(row: Sequence[str]) -> list[Any]:
    return [row[0], *(Cell(minus(text), text) for text in row[1:])]


def heading(comparison: Mapping[str, Any]) -> str:
    """``NEW beside OLD``."""
    kind = KINDS.get(comparison.get("kind", ""), "comparison")
    candidate, reference = (comparison.get(side) or {} for side in ("candidate", "reference"))
    return f"{candidate.get('label')} beside {reference.get('label')} ({kind})"


def flips(comparison: Mapping[str, Any], number: int) -> Any:
    """The verdicts of both sides."""
    found = comparison["verdicts"]
    changed = [flip for flip in found if flip["outcome"] != "same"]
    regressed = sum(d["outcome"] in ("worse", "lost") for d in [*found, *comparison["metrics"]])
    words = f"{regressed} regressed" if regressed else "nothing regressed"
    text = f"{len(changed)} of {len(found)} verdicts flipped; {words}."
    rows = [
        [f["title"], Cell(toward(f["outcome"])), f["reference"], f["candidate"], f["reason"], f["question"]]
        for f in sorted(found, key=lambda f: (f["outcome"] == "same", f["outcome"] not in BAD, f["question"]))
    ]
    columns = ("claim", "outcome", "before", "now", "why", "question")
    verdicts = replace(table("Verdicts before and now", columns, rows), opened=bool(changed), stacks=True)
    return [Note(text[0].upper() + text[1:]), verdicts]


def forest(comparison: Mapping[str, Any], number: int) -> Any:
    """Differences in units of the smallest change of interest, better or toward the claim to the right."""
    rows = [d for d in comparison["metrics"] if d["difference"] is not None and d["better"] and d["smallest"]]
    if not rows:
        return None
    cut = False
    with drawing(1.1 + 1.7 * ROW * max(len(rows), 2), width=FOREST) as (figure, axes):
        axes.axvspan(-1, 1, color=SOFT, lw=0)
        axes.axvline(0, color=MUTED, lw=1)
        for place, row in enumerate(rows):
            cut = _bar(axes, place, row) or cut
        named_rows(axes, [fold(row["title"]) for row in rows], 0.6)
        reach = 1.04 * FARTHEST if cut else max(1.5, *map(abs, axes.get_xlim()))
        axes.set_xlim(-reach, reach)
        axes.grid(axis="y", color=GRID)
        figure.supxlabel(
            "change, in smallest changes of interest\n← worse, away from the claim  ·  better, toward it →"
        )
    worse = [f"{d['title']} {change(d['difference'], d['unit'])}" for d in rows if d["outcome"] == "worse"]
    alt = f"Changes of {len(rows)} metrics; regressed: {', '.join(worse) or 'none'}"
    caption = (
        "Bars: intervals that hold all at once with 95 %. Within the shaded band a change is too small to "
        "matter. A bar wholly left of the band is a regression."
    )
    caption += " Where a bar goes on beyond an arrow, the number is the change." if cut else ""
    made = framed("What changed", f"c{number}-forest", figure, alt, caption, wide=True)
    return replace(made, data="")  # bars end at the axis; the table below has where they go


def _bar(axes: Axes, place: int, row: Mapping[str, Any]) -> bool:
    """A metric's interval and difference; whether they go on beyond the axis, as arrow and number say."""
    scale = row["better"] / row["smallest"]
    colour = WARM if row["outcome"] in BAD else ACCENT
    at = row["difference"] * scale
    ends = sorted(end * scale for end in row["joint"] or (row["difference"],) * 2)
    low, high = (min(max(end, -FARTHEST), FARTHEST) for end in ends)
    axes.plot([low, high], [place] * 2, color=colour, lw=2.4, solid_capstyle="butt", gid=INTERVAL)
    if abs(at) <= FARTHEST:
        axes.plot(at, place, "o", ms=4.5, color=colour, gid=VALUE)
    beyond = [side for side, end in ((-1, ends[0]), (1, ends[1])) if side * end > FARTHEST]
    for side in beyond:
        axes.plot(side * FARTHEST, place, "<" if side < 0 else ">", ms=6.5, color=colour, clip_on=False)
    if beyond:
        side = 1 if at > 0 else -1
        axes.annotate(
            minus(change(row["difference"], row["unit"])),
            (side * FARTHEST, place),
            xytext=(-3 * side, 4),
            textcoords="offset points",
            ha="right" if side > 0 else "left",
            fontsize=SMALL,
            color=colour,
        )
    return bool(beyond)


def metric_table(comparison: Mapping[str, Any], number: int) -> Table:
    """Every metric side by side."""
    rows = []
    for d in comparison["metrics"]:
        unit, known = d["unit"], d["difference"] is not None
        rows.append(
            [
                d["title"] + ("" if d["better"] else " *"),
                said(d["outcome"], d["metric"]),
                _why(d),
                _sorted(value(d["reference"], unit), (d["reference"] or {}).get("value")),
                _sorted(value(d["candidate"], unit), (d["candidate"] or {}).get("value")),
                _sorted(change(d["difference"], unit), d["difference"]) if known else ABSENT,
                _sorted(span(d["joint"], unit), d["joint"][0]) if d["joint"] else ABSENT,
                ABSENT if d["p_holm"] is None else _sorted(p_value(d["p_holm"]), d["p_holm"]),
                size(d["smallest"], unit),
            ]
        )
    columns = ("metric", "outcome", "why", "before", "now", "difference", "joint 95 % interval", "p (Holm)")
    columns += ("matters from",)
    caption = "* describes the model; neither way is better."
    made = table("Every metric before and now", columns, rows, caption)
    return replace(made, opened=True, stacks=True)


def _why(found: Mapping[str, Any]) -> str:
    """The reason without the numbers that stand beside it."""
    if found["joint"] is None:
        return found["reason"]
    words, colon, _ = found["reason"].partition(": ")
    if not colon and found["outcome"] != "same":
        words = "beyond chance"
    return f"{words}; {'paired' if found['paired'] else 'unpaired'} images"


def _sorted(text: str, key: Any) -> Cell:
    return Cell(minus(text), float(key)) if key is not None else ABSENT


def notes(comparison: Mapping[str, Any], number: int) -> list[Note]:
    """What is to be kept in mind."""
    return [Note(f"{text[:1].upper()}{text[1:]}.") for text in comparison["notes"]]
