"""The verdict cards: each claim with its figure, and a strip that shows it against its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from ...drawing.blocks import Cell, Table, ends, p_text, points, table
from ...drawing.shown import Shown
from ...drawing.text import VerdictRow, upper_first, verdict_rows
from ...io.text import clean
from ...questions import metrics
from .shell import minus, render_page

WORST_FIRST = ("fails", "inconclusive", "not measured", "holds")
MARKS = {"holds": "✓", "fails": "✕", "inconclusive": "?", "not measured": "–"}
COLUMNS = ("claim", "question", "verdict", "value", "95 % interval", "claimed", "p", "p (Holm)", "images")
COLUMNS += ("script", "twins' mean", "beyond untrained weights", "the training's doing")
MARGIN = 0.06  # of the strip's width, left free at either end


@dataclass(frozen=True)
class Tick:
    """A mark on a strip: where, in per cent of its width, and its text."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Card:
    """A verdict ready to be shown: its row and its strip."""

    row: VerdictRow
    strip: dict[str, Any] | None

    @property
    def mark(self) -> str:
        return MARKS[self.row.word]

    @property
    def state(self) -> str:
        """The verdict as a word for a style's name."""
        return self.row.word.replace(" ", "-")

    @property
    def metric(self) -> str:
        """What the figure is, in words; its name where this program does not know it."""
        name = self.row.verdict["metric"]
        return next((known.title for _, known in metrics(on_request=True) if known.name == name), name)

    @property
    def reason(self) -> str:
        """Sentences: why the verdict, where its strip does not say so itself, and why no twins speak."""
        row = self.row
        parts = [row.reason] if row.word in ("inconclusive", "not measured") else []
        parts.append(row.reading)
        parts += [] if row.difference else [row.about_twins]
        return " ".join(upper_first(part).rstrip(".") + "." for part in parts if part)


def cards(shown: Shown) -> list[Card]:
    """A subject's cards, worst first; among equals what was not expected comes first."""

    def rank(row: VerdictRow) -> tuple[int, bool, str]:
        return WORST_FIRST.index(row.word), bool(row.mark), row.question

    return [Card(row, strip(row)) for row in sorted(verdict_rows(shown.record), key=rank)]


def about(shown: Shown) -> dict[str, Any]:
    """What a page says of a subject's verdicts together."""
    return {
        "shown": shown,
        "cards": cards(shown),
        "headline": headline(shown),
        "tally": tally(shown),
        "table": verdict_table(shown) if shown.record["verdicts"] else None,
    }


def fragment(subject: Mapping[str, Any]) -> str:
    """The cards of a subject as it stands in ``results.json``, as HTML for a notebook in the report's look.

    Its style reaches nothing else on the page.
    """
    return render_page("fragment.html.j2", about=about(Shown(1, clean(subject))))


def strip(row: VerdictRow) -> dict[str, Any] | None:
    """What is drawn of a verdict, every position in per cent of the width.

    None where there is no value, or one that no axis can hold.
    """
    v, scale = row.verdict, 100.0 if row.percent else 1.0
    references = [(one["name"], one["value"]) for one in v.get("references") or []]
    ends, script = v["ci95"] or [], v.get("script_value")
    drawn = [v["value"], script, v["threshold"], *ends, *row.twin_values, *(x for _, x in references)]
    drawn = [scale * float(x) for x in drawn if x is not None]
    low, high = min(drawn), max(drawn)
    if v["value"] is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    pad = MARGIN * (high - low) / (1 - 2 * MARGIN) or max(abs(high), 1.0) * MARGIN
    low, high = low - pad, high + pad

    def at(x: float) -> float:
        return round(100 * (scale * float(x) - low) / (high - low), 3)

    def tick(place: float, text: str, edge: float = 4) -> Tick:
        return Tick(place, text, "start" if place < edge else "end" if place > 100 - edge else "middle")

    marks = [x for x in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= x <= high]
    place = at(v["threshold"])
    return {
        "ticks": [tick(at(x / scale), minus(f"{x:.6g}")) for x in marks],
        "threshold": tick(place, f"claim {row.claimed}", edge=20),
        "good": (place, 100 - place) if v["comparison"] == ">" else (0.0, place),
        "value": at(v["value"]),
        "ci": (at(ends[0]), round(at(ends[1]) - at(ends[0]), 3)) if ends else None,
        "script": None if script is None else at(script),
        "twins": [at(x) for x in row.twin_values],
        "references": [Tick(at(x), name) for name, x in references],
        "alt": _alt(row),
    }


def _alt(row: VerdictRow) -> str:
    parts = [
        f"{row.title}: {row.value}",
        f"95 % interval {row.interval}" if row.verdict["ci95"] else "",
        f"the claim is {row.claimed}",
        f"script {row.script}" if row.script != "-" else "",
        f"random-weight twins {row.twins}" if row.twin_values else "",
        *(f"{name} {value}" for name, value, _ in row.references),
    ]
    return "; ".join(filter(None, parts))


def tally(shown: Shown) -> list[tuple[str, int, str]]:
    """How many verdicts of each kind: (state, count, words), worst first, those that occur."""
    verdicts = [(v["verdict"], v.get("expected")) for v in shown.record["verdicts"]]
    found = []
    for word in WORST_FIRST:
        count = sum(verdict == word for verdict, _ in verdicts)
        expected = verdicts.count((word, word))
        words = word + (f" ({expected} expected)" if expected else "")
        found += [(word.replace(" ", "-"), count, words)] if count else []
    return found


def headline(shown: Shown) -> str:
    """What was found in one sentence; empty where nothing was compared with untrained weights."""
    verdicts = shown.record["verdicts"]
    holding = [v for v in verdicts if v["verdict"] == "holds"]
    if not holding or not any(v.get("attribution") for v in verdicts):
        return ""
    beyond, training = (
        sum(v.get(name) is True for v in holding) or "none" for name in ("attributed", "training")
    )
    return (
        f"{len(holding)} of {len(verdicts)} claims hold; of these {beyond} shown to be beyond untrained "
        f"weights, {training} to be the training's doing."
    )


def verdict_table(shown: Shown) -> Table:
    """All numbers of the cards, to sort and copy."""
    rows, methods = [], {}
    for made in cards(shown):
        row, v = made.row, made.row.verdict
        figure = points if row.percent else (lambda x: x)
        rows.append(
            [
                row.title,
                row.question,
                Cell(f"{made.mark} {row.word}", str(WORST_FIRST.index(row.word))),
                Cell(row.value, v["value"]) if v["value"] is not None else None,
                ends(v["ci95"], "points" if row.percent else ""),
                row.claimed,
                p_text(v["p"]),
                p_text(v.get("p_holm")),
                v["n"],
                figure(v.get("script_value")),
                figure(row.twin_mean),
                row.attributed,
                row.training,
            ]
        )
    for v in shown.record["verdicts"]:
        methods.setdefault(v["method"] or "not measured", []).append(f"{v['question']} {v['claim']}")
    caption = "; ".join(f"{', '.join(names)}: {method}" for method, names in methods.items())
    return table("All verdicts as a table", COLUMNS, rows, f"Methods: {caption}.")


def overview(found: Sequence[Mapping[str, Any]]) -> list[list[Card | None]]:
    """For subjects as :func:`about` gives them: a row per claim, a card or None each; worst claims first."""
    sides = [{card.row.verdict["claim"]: card for card in about["cards"]} for about in found]

    def rank(claim: str) -> tuple[int, str]:
        rows = [side[claim].row for side in sides if claim in side]
        return min(WORST_FIRST.index(row.word) for row in rows), rows[0].question

    claims = dict.fromkeys(claim for side in sides for claim in side)
    return [[side.get(claim) for side in sides] for claim in sorted(claims, key=rank)]
