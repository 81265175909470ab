"""The verdict cards: each claim with its figure, and a strip that shows it against its threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.ticker import MaxNLocator

from ...drawing.blocks import Cell, Table, ends, p_text, points, table
from ...drawing.shown import Shown
from ...drawing.text import attributed, condition, interval, is_percent, number
from ...questions import metrics

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
    alt: str


@dataclass(frozen=True)
class Card:
    """A verdict ready to be shown."""

    verdict: Mapping[str, Any]
    mark: str
    value: str
    interval: str
    condition: str
    unit: str
    script: str
    twins: str
    attributed: str
    beyond: str
    reason: str
    expected: str
    strip: Strip | None

    @property
    def state(self) -> str:
        """The verdict as a word for a style's name."""
        return self.verdict["verdict"].replace(" ", "-")


def cards(shown: Shown) -> list[Card]:
    """A subject's cards, worst first; among equals what was not expected comes first."""

    def rank(verdict: Mapping[str, Any]) -> tuple[int, bool, str]:
        expected = verdict.get("expected") == verdict["verdict"]
        return WORST_FIRST.index(verdict["verdict"]), expected, verdict["question"]

    return [card(shown, verdict) for verdict in sorted(shown.record["verdicts"], key=rank)]


def card(shown: Shown, verdict: Mapping[str, Any]) -> Card:
    """One verdict's card."""
    percent = is_percent(verdict)
    twins, count = twin_values(shown, verdict["claim"])
    measured = bool(twins)
    mean = number(sum(twins) / len(twins), percent) if measured else ""
    spread = interval([min(twins), max(twins)], percent) if len(twins) > 1 else ""
    spread = spread.strip("[]").replace(", ", " to ")
    about = mean + (f" ({spread})" if spread else "")
    images = f"; {len(twins)} twin{'s' if len(twins) > 1 else ''}, {count:,} images" if count else ""
    reason = (verdict.get("attribution") or {}).get("reason") or ""
    return Card(
        verdict=verdict,
        mark=MARKS[verdict["verdict"]],
        value=minus(number(verdict["value"], percent)),
        interval=minus(interval(verdict["ci95"], percent).strip("[]").replace(", ", " to ")),
        condition=condition(verdict),
        unit=named(verdict["metric"]),
        script="" if verdict.get("script_value") is None else minus(number(verdict["script_value"], percent)),
        twins=minus(about) + images if measured else "not measured",
        attributed=attributed(verdict) if measured else "not measured",
        beyond=_beyond(verdict, percent),
        reason=_reason(verdict, percent, "" if _beyond(verdict, percent) else reason),
        expected=_expected(verdict),
        strip=_strip(verdict, twins, percent),
    )


def named(metric: str) -> str:
    """What a metric is, in words; its name where this program does not know it."""
    return next((known.title for _, known in metrics() if known.name == metric), metric)


def twin_values(shown: Shown, claim: str) -> tuple[list[float], int]:
    """The figures of the random-weight twins on a claim, and how many images they were measured on."""
    controls = shown.get("controls") or {}
    found = [(twin.get(claim) or {}).get("value") for twin in controls.get("twins") or []]
    return [float(value) for value in found if value is not None], int(controls.get("images") or 0)


def minus(text: str) -> str:
    """A number's text with a true minus sign."""
    return text.replace("-", "−") if text != "-" else "–"


def _reason(verdict: Mapping[str, Any], percent: bool, of_twins: str) -> str:
    """Sentences: why the verdict, where its strip does not say so itself, and what the twins say."""
    parts = [verdict["reason"]] if verdict["verdict"] in ("inconclusive", "not measured") else []
    if percent and verdict["verdict"] == "inconclusive":  # a reason is in shares, the card in points
        found = verdict["reason"].partition(";")[2].strip()
        parts = ["the interval holds the threshold" + (f"; {found}" if found else "")]
    parts += [of_twins] if of_twins else []
    return " ".join(part[:1].upper() + part[1:].rstrip(".") + "." for part in parts if part)


def _beyond(verdict: Mapping[str, Any], percent: bool) -> str:
    """The subject less the mean of its twins, with its interval."""
    found = (verdict.get("attribution") or {}).get("difference") or {}
    if found.get("value") is None:
        return ""
    low, high = (found.get("ci95") or [None, None])[:2]
    span = "" if low is None else f" ({interval([low, high], percent)[1:-1].replace(', ', ' to ')})"
    return minus(("" if percent or found["value"] < 0 else "+") + number(found["value"], percent) + span)


def _expected(verdict: Mapping[str, Any]) -> str:
    if not verdict.get("expected"):
        return ""
    reason = verdict.get("expected_reason") or ""
    if verdict["expected"] == verdict["verdict"]:
        return f"Expected: {reason}"
    return f"Not as expected: this should be “{verdict['expected']}” ({reason})"


def _strip(verdict: Mapping[str, Any], twins: list[float], percent: bool) -> Strip | None:
    value, ci95, threshold = verdict["value"], verdict["ci95"], verdict["threshold"]
    if value is None:
        return None
    scale = 100.0 if percent else 1.0
    script = verdict.get("script_value")
    drawn = [value, threshold, *(ci95 or []), *twins, *([] if script is None else [script])]
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
    text = condition(verdict)
    good = (place, 100 - place) if verdict["comparison"] == ">" else (0.0, place)
    return Strip(
        ticks=[_tick(at(x / scale), f"{x:.6g}".replace("-", "−")) for x in marks],
        threshold=Tick(place, f"claim {text}", anchor),
        good=good,
        value=at(value),
        ci=(at(ci95[0]), round(at(ci95[1]) - at(ci95[0]), 3)) if ci95 else None,
        script=None if script is None else at(script),
        twins=[at(x) for x in twins],
        alt=_alt(verdict, twins, percent),
    )


def _tick(at: float, text: str) -> Tick:
    return Tick(at, text, "start" if at < 4 else "end" if at > 96 else "middle")


def _alt(verdict: Mapping[str, Any], twins: list[float], percent: bool) -> str:
    parts = [f"{verdict['title']}: {number(verdict['value'], percent)}"]
    if verdict["ci95"]:
        parts.append(f"95 % interval {interval(verdict['ci95'], percent)}")
    parts.append(f"the claim is {condition(verdict)}")
    if verdict.get("script_value") is not None:
        parts.append(f"script {number(verdict['script_value'], percent)}")
    if twins:
        parts.append("random-weight twins " + ", ".join(number(x, percent) for x in twins))
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


def verdict_table(shown: Shown) -> Table:
    """All numbers of the cards, to sort and copy."""
    columns = ("claim", "question", "verdict", "value", "95 % interval", "claimed", "p", "images")
    columns += ("script", "twins' mean", "beyond untrained weights")
    rows = []
    for made in cards(shown):
        v = made.verdict
        percent = is_percent(v)
        twins, _ = twin_values(shown, v["claim"])
        figure = points if percent else (lambda x: x)
        rows.append(
            [
                v["title"],
                v["question"],
                Cell(f"{made.mark} {v['verdict']}", str(WORST_FIRST.index(v["verdict"]))),
                figure(v["value"]),
                ends(v["ci95"], "points" if percent else ""),
                Cell(made.condition, made.condition),
                p_text(v["p"]),
                v["n"],
                figure(v.get("script_value")),
                figure(sum(twins) / len(twins) if twins else None),
                Cell(made.attributed, made.attributed),
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
    """For several subjects: a row a claim, a card (or None) a subject; worst claims first."""
    by_claim: dict[str, dict[int, Card]] = {}
    for shown in subjects:
        for made in cards(shown):
            by_claim.setdefault(made.verdict["claim"], {})[shown.number] = made

    def rank(item: tuple[str, dict[int, Card]]) -> tuple[int, str]:
        found = [made.verdict for made in item[1].values()]
        return min(WORST_FIRST.index(v["verdict"]) for v in found), found[0]["question"]

    rows = []
    for _, found in sorted(by_claim.items(), key=rank):
        first = next(iter(found.values())).verdict
        rows.append(
            {
                "title": first["title"],
                "question": first["question"],
                "cards": [found.get(shown.number) for shown in subjects],
            }
        )
    return rows
