"""The verdict cards: each claim with its figure, and a strip that shows it against its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from ...drawing.blocks import Cell, Table, ends, p_text, points, table
from ...drawing.shown import Shown
from ...drawing.text import VerdictRow, verdict_rows
from ...questions import metrics, questions

WORST_FIRST = ("fails", "inconclusive", "not measured", "holds")
MARKS = {"holds": "✓", "fails": "✕", "inconclusive": "?", "not measured": "–"}
MARGIN = 0.06  # of the strip's width, left free at either end


@dataclass(frozen=True)
class Tick:
    """A mark on a strip: where, in per cent of its width, and its text."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class Strip:
    """What is drawn of a verdict; every position in per cent of the strip's width, None where absent."""

    ticks: list[Tick]
    threshold: Tick
    good: tuple[float, float]
    value: float | None
    ci: tuple[float, float] | None
    script: float | None
    twins: list[float]
    references: list[Tick]
    alt: str


@dataclass(frozen=True)
class Card:
    """A verdict ready to be shown: its row, its strip, and its question's section, if there is one."""

    row: VerdictRow
    strip: Strip | None
    section: str

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
        return " ".join(part[:1].upper() + part[1:].rstrip(".") + "." for part in parts if part)


def cards(shown: Shown) -> list[Card]:
    """A subject's cards, worst first; among equals what was not expected comes first."""

    def rank(row: VerdictRow) -> tuple[int, bool, str]:
        return WORST_FIRST.index(row.word), bool(row.mark), row.question

    sections = {question.id for question in questions() if question.figures() or question.tables()}
    return [
        Card(row, strip(row), row.question if row.question in sections else "")
        for row in sorted(verdict_rows(shown.record), key=rank)
    ]


def strip(row: VerdictRow) -> Strip | None:
    """A verdict's strip; None where there is no value, or one that no axis can hold."""
    v, twins, scale = row.verdict, row.twin_values, 100.0 if row.percent else 1.0
    value, ci95, threshold, script = v["value"], v["ci95"], v["threshold"], v.get("script_value")
    if value is None:
        return None
    references = [(one["name"], one["value"]) for one in v.get("references") or []]
    drawn = [value, threshold, *(ci95 or []), *twins, *(x for _, x in references)]
    drawn += [] if script is None else [script]
    drawn = [scale * float(x) for x in drawn]
    low, high = min(drawn), max(drawn)
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    pad = MARGIN * (high - low) / (1 - 2 * MARGIN) or max(abs(high), 1.0) * MARGIN
    low, high = low - pad, high + pad

    def at(x: float) -> float:
        return round(100 * (scale * float(x) - low) / (high - low), 3)

    marks = [x for x in MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high) if low <= x <= high]
    place = at(threshold)
    anchor = "start" if place < 20 else "end" if place > 80 else "middle"
    return Strip(
        ticks=[_tick(at(x / scale), f"{x:.6g}".replace("-", "−")) for x in marks],
        threshold=Tick(place, f"claim {row.claimed}", anchor),
        good=(place, 100 - place) if v["comparison"] == ">" else (0.0, place),
        value=at(value),
        ci=(at(ci95[0]), round(at(ci95[1]) - at(ci95[0]), 3)) if ci95 else None,
        script=None if script is None else at(script),
        twins=[at(x) for x in twins],
        references=[Tick(at(x), name) for name, x in references],
        alt=_alt(row),
    )


def _tick(at: float, text: str) -> Tick:
    return Tick(at, text, "start" if at < 4 else "end" if at > 96 else "middle")


def _alt(row: VerdictRow) -> str:
    parts = [f"{row.title}: {row.value}"]
    if row.verdict["ci95"]:
        parts.append(f"95 % interval {row.interval}")
    parts.append(f"the claim is {row.claimed}")
    if row.script != "-":
        parts.append(f"script {row.script}")
    if row.twin_values:
        parts.append(f"random-weight twins {row.twins}")
    parts += [f"{name} {value}" for name, value, _ in row.references]
    return "; ".join(parts)


def tally(shown: Shown) -> list[tuple[str, int, str]]:
    """How many verdicts of each kind: (state, count, words), worst first, those that occur."""
    verdicts = shown.record["verdicts"]
    found = []
    for word in WORST_FIRST:
        of_word = [v for v in verdicts if v["verdict"] == word]
        expected = sum(v.get("expected") == word for v in of_word)
        words = word + (f" ({expected} expected)" if expected else "")
        if of_word:
            found.append((word.replace(" ", "-"), len(of_word), words))
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
    columns = ("claim", "question", "verdict", "value", "95 % interval", "claimed", "p", "p (Holm)", "images")
    columns += ("script", "twins' mean", "beyond untrained weights", "the training's doing")
    rows = []
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
                Cell(row.claimed, row.claimed),
                p_text(v["p"]),
                p_text(v.get("p_holm")),
                v["n"],
                figure(v.get("script_value")),
                figure(row.twin_mean),
                Cell(row.attributed, row.attributed),
                Cell(row.training, row.training),
            ]
        )
    return table("All verdicts as a table", columns, rows, "Methods: " + _methods(shown))


def _methods(shown: Shown) -> str:
    found: dict[str, list[str]] = {}
    for v in shown.record["verdicts"]:
        if v["method"]:
            found.setdefault(v["method"], []).append(f"{v['question']} {v['claim']}")
    return "; ".join(f"{', '.join(names)}: {method}" for method, names in found.items()) + "."


def overview(subjects: list[Shown]) -> list[dict[str, Any]]:
    """For several subjects: a row per claim, a card (or None) per subject; worst claims first."""
    by_claim: dict[str, dict[int, Card]] = {}
    for shown in subjects:
        for made in cards(shown):
            by_claim.setdefault(made.row.verdict["claim"], {})[shown.number] = made

    def rank(found: Mapping[int, Card]) -> tuple[int, str]:
        rows = [made.row for made in found.values()]
        return min(WORST_FIRST.index(row.word) for row in rows), rows[0].question

    return [
        {"row": next(iter(found.values())).row, "cards": [found.get(shown.number) for shown in subjects]}
        for found in sorted(by_claim.values(), key=rank)
    ]
