"""Comparisons with a baseline or between models: flipped verdicts first, then every metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ...compare.judging import change, size
from ...drawing.blocks import ABSENT, Cell, Figure, Note, Table, attempt, table
from ...drawing.charts import ROW, fold
from ...drawing.style import ACCENT, GRID, MUTED, SOFT, WARM, drawing, svg
from ..comparison import KINDS, p_value, span, value
from .shell import minus

BAD = ("worse", "lost", "worse within chance", "slightly worse")
FARTHEST = 8.0  # smallest changes a bar may reach; longer ones are cut


def comparison_blocks(number: int, comparison: Mapping[str, Any]) -> list[Any]:
    """The blocks of one comparison as it stands in ``results.json``."""
    if comparison.get("refused"):
        return [Note(f"Not compared: {comparison['refused']}")]
    builders = (flips, forest, metric_table, timing_table, notes)
    return [block for builder in builders for block in attempt(builder, comparison, number)]


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
        [f["title"], f["question"], f["reference"], f["candidate"], Cell(f["outcome"]), f["reason"]]
        for f in sorted(found, key=lambda f: (f["outcome"] == "same", f["outcome"] not in BAD, f["question"]))
    ]
    columns = ("claim", "question", "before", "now", "outcome", "why")
    verdicts = replace(table("Verdicts before and now", columns, rows), opened=bool(changed))
    return [Note(text[0].upper() + text[1:]), verdicts]


def forest(comparison: Mapping[str, Any], number: int) -> Any:
    """Differences in units of the smallest change of interest, better to the right."""
    rows = [d for d in comparison["metrics"] if d["difference"] is not None and d["better"] and d["smallest"]]
    if not rows:
        return None
    cut = False
    with drawing(0.9 + 1.3 * ROW * max(len(rows), 2), width=5.6) as (figure, axes):
        axes.axvspan(-1, 1, color=SOFT, lw=0)
        axes.axvline(0, color=MUTED, lw=1)
        for place, row in enumerate(rows):
            scale = row["better"] / row["smallest"]
            colour = WARM if row["outcome"] in BAD else ACCENT
            if row["joint"]:
                ends = sorted(end * scale for end in row["joint"])
                cut = cut or ends[0] < -FARTHEST or ends[1] > FARTHEST
                shown = [min(max(end, -FARTHEST), FARTHEST) for end in ends]
                axes.plot(shown, [place] * 2, color=colour, lw=2.4, solid_capstyle="butt")
            at = row["difference"] * scale
            if math.isfinite(at) and abs(at) <= FARTHEST:
                axes.plot(at, place, "o", ms=4.5, color=colour)
        axes.set_yticks(range(len(rows)), [fold(row["title"], 30) for row in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        reach = max((abs(x) for x in axes.get_xlim()), default=1.5)
        axes.set_xlim(-max(reach, 1.5), max(reach, 1.5))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", color=GRID)
        figure.supxlabel("change, in smallest changes of interest: worse to the left, better to the right")
        worse = [row["title"] for row in rows if row["outcome"] == "worse"]
        alt = f"Changes of {len(rows)} metrics; worse: {', '.join(worse) or 'none'}"
        picture = svg(figure, f"c{number}-forest", alt)
    caption = (
        "Bars: intervals that hold all at once with 95 %. Within the shaded band a change is too small to "
        "matter. A bar wholly left of the band is a regression." + (" Longer bars are cut." if cut else "")
    )
    return Figure("What changed", picture, alt, caption, wide=True)


def metric_table(comparison: Mapping[str, Any], number: int) -> Table:
    """Every metric side by side."""
    rows = []
    for d in comparison["metrics"]:
        unit, known = d["unit"], d["difference"] is not None
        rows.append(
            [
                d["title"] + ("" if d["better"] else " *"),
                d["question"],
                _sorted(value(d["reference"], unit), (d["reference"] or {}).get("value")),
                _sorted(value(d["candidate"], unit), (d["candidate"] or {}).get("value")),
                _sorted(change(d["difference"], unit), d["difference"]) if known else ABSENT,
                _sorted(span(d["joint"], unit), d["joint"][0]) if d["joint"] else ABSENT,
                ABSENT if d["p_holm"] is None else _sorted(p_value(d["p_holm"]), d["p_holm"]),
                size(d["smallest"], unit),
                ("paired" if d["paired"] else "unpaired") if known else "–",
                d["outcome"],
                d["reason"],
            ]
        )
    columns = ("metric", "question", "before", "now", "difference", "joint 95 % interval", "p (Holm)")
    columns += ("matters from", "images", "outcome", "why")
    caption = "* describes the model; neither way is better."
    return replace(table("Every metric before and now", columns, rows, caption), opened=True)


def _sorted(text: str, key: Any) -> Cell:
    return Cell(minus(text), float(key)) if key is not None else ABSENT


def timing_table(comparison: Mapping[str, Any], number: int) -> Table | None:
    """Seconds by stage, where both sides were timed."""
    rows = []
    for name, seconds in comparison["timings"].items():
        before, now = seconds["reference"], seconds["candidate"]
        ratio = now / before if before and now is not None else None
        rows.append([name.removesuffix("_s").replace("_", " "), before, now, ratio])
    columns = ("stage", "before, s", "now, s", "ratio")
    caption = "Single runs; no verdict hangs on them."
    return table("Timings before and now", columns, rows, caption) if rows else None


def notes(comparison: Mapping[str, Any], number: int) -> list[Note]:
    """What is to be kept in mind."""
    return [Note(f"{text[:1].upper()}{text[1:]}.") for text in comparison["notes"]]
