"""Verdicts and figures as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

DIGITS_OF_WIDTH = 3  # of an interval: its figure has as many decimals
FAMILY = 0.05  # of all claims of a run together
FALSE_HOLDS = 0.025  # of claims whose figures lie on their thresholds
THEOREM = "Theorem 3, release fidelity"
ANSWERS = {True: "yes", False: "no", None: "not shown"}
MOST_PLACES = 6  # numbers with more decimals read better with a power of ten


def places(ci95: Any) -> int | None:
    """Decimals that show an interval's width with three digits; None where it does not say how many."""
    width = ci95[1] - ci95[0] if ci95 else 0.0
    if not (math.isfinite(width) and width > 0):
        return None
    found = DIGITS_OF_WIDTH - 1 - math.floor(math.log10(width))
    return found if 0 <= found <= MOST_PLACES else None


def number(value: Any, percent: bool = False, decimals: int | None = None) -> str:
    """A figure with so many decimals, else four significant digits, or in percentage points; or a dash."""
    if value is None:
        return "-"
    if percent:
        return f"{100 * value:+.2f} pp"
    return f"{value:.4g}" if decimals is None else f"{value:.{decimals}f}"


def interval(ci95: Any, percent: bool = False, decimals: int | None = None) -> str:
    """``[low, high]``, or a dash."""
    if ci95 is None:
        return "-"
    low, high = (f"{100 * end:+.2f}" if percent else number(end, decimals=decimals) for end in ci95)
    return f"[{low}, {high}]"


@dataclass
class VerdictRow:
    """A verdict as every reader shows it, in texts; ``-`` or empty where there is nothing to say.

    Attributes:
        verdict: as it stands in a record.
        controls: the record's figures of the subject and its twins on the same images, or None.
        all_images: how many the subject has, None where nobody says.
        heading, question, title, word: what it stands under, whose it is, the claim, the verdict itself.
        value, interval, claimed, script, p: numbers; ``claimed`` as ``> 0.1``.
        images: ``1,797``, or ``296 of 300`` where the figure leaves some out.
        attributed, training: yes, no or not shown: is the subject beyond untrained weights, and is it beyond
            these, a fitted last layer and simple codecs.
        references: of each its name, figure and difference to it with its interval. mark, expected:
        ``expected`` where the verdict is one that was; what was expected, and if it was found. reading: which
        of its references the figure equals. twin_values, twin_mean: raw. twins: their mean and range.
        twin_count: ``5 twins, 512 images``. beside_twins, difference: the subject on the twins' images, and
        less their mean, with its interval. about_twins: a clause on what the twins say: the difference, or
        why there is none.
    """

    verdict: Mapping[str, Any]
    controls: Mapping[str, Any] | None = None
    all_images: int | None = None

    def __post_init__(self) -> None:
        v = self.verdict
        self.percent = v.get("unit") == "pp"
        self.question, self.title, self.word = v["question"], v["title"], v["verdict"]
        self.heading, self.reading = v.get("heading") or THEOREM, v.get("reading") or ""
        self.value, self.script = self._number(v["value"]), self._number(v.get("script_value"))
        self.interval = interval(v["ci95"], self.percent, places(v["ci95"]))
        scale, unit = (100, " pp") if self.percent else (1, "")
        self.claimed = f"{v['comparison']} {v['threshold'] * scale:g}{unit}"
        self.images = counted(v["n"], self.all_images)
        self.p = "-" if v["p"] is None else f"{v['p']:.3g}"
        self.mark = "expected" if v["expected"] == self.word else ""
        self.expected = self._expected()
        self._beside()

    def _expected(self) -> str:
        v = self.verdict
        expected, reason = v.get("expected"), v.get("expected_reason") or ""
        if not expected:
            return upper_first(v["unchecked"]) + "." if v.get("unchecked") else ""
        if self.mark:
            return f"Expected: {reason}"
        return f"Not as expected: this should be “{expected}” ({reason})"

    def _beside(self) -> None:
        """What stands beside the figure: twins and references."""
        v, controls, attribution = self.verdict, self.controls or {}, self.verdict["attribution"]
        references, away = v.get("references") or [], (attribution or {}).get("difference") or {}
        # The subject, the twins and their difference have the same decimals, so that they add up.
        known = places(v["ci95"]), places(away.get("ci95"))
        self._apart = max((found for found in known if found is not None), default=None)
        self.attributed = "-" if attribution is None else ANSWERS[v["attributed"]]
        self.training = "-" if attribution is None and not references else ANSWERS[v.get("training")]
        self.references = [
            (one["name"], self._number(one["value"], self._apart), self._signed(one)) for one in references
        ]
        figures = [twin.get(v["claim"]) for twin in controls.get("twins") or []]
        values = [figure.get("value") for figure in figures if isinstance(figure, Mapping)]
        self.twin_values = [float(value) for value in values if value is not None]
        count, images = len(self.twin_values), int(controls.get("images") or 0)
        self.twin_mean = sum(self.twin_values) / count if count else None
        self.twins = self._spread() if count else "not measured"
        self.twin_count = (
            f"{count} twin{'s' if count > 1 else ''}, {images:,} images" if count and images else ""
        )
        own = (controls.get("subject") or {}).get(v["claim"]) or {}
        self.beside_twins = self._number(own.get("value"), self._apart)
        self.difference = "" if away.get("value") is None else self._signed(away, "value")
        self.about_twins = (attribution or {}).get("reason", "")
        if self.difference:
            self.about_twins = f"{self.difference} from the mean of its twins"

    @property
    def reason(self) -> str:
        """Why, without the numbers that stand beside it."""
        v, found = self.verdict, self.verdict["reason"]
        if not found.startswith("the interval ") or v["ci95"] is None:
            return found
        low, high = v["ci95"]
        if self.word == "fails":
            why = "the interval is wholly on the other side of the threshold"
        elif low <= v["threshold"] <= high:
            why = "the interval contains the threshold"
        else:
            why = "the interval is wholly on the claim's side of the threshold"
            if self.word == "inconclusive":
                why += (
                    ", but the null was not tested" if v["p"] is None else f", but p = {self.p} is too large"
                )
        tail = found.partition("; ")[2]
        return why + (f"; {tail}" if tail else "")

    def properties(self) -> dict[str, Any]:
        """The verdict's raw values by name, those that are known, as JUnit has them."""
        v = self.verdict
        low, high = v["ci95"] or (None, None)
        names = ("theorem", "question", "claim", "metric", "value", "threshold", "comparison", "n", "p")
        names += ("verdict", "attributed", "probe", "script_value")
        found = {name: v.get(name) for name in names} | {"ci95_low": low, "ci95_high": high}
        found |= {"heading": self.heading, "reading": self.reading or None}
        return {name: value for name, value in found.items() if value is not None}

    def _spread(self) -> str:
        ends = min(self.twin_values), max(self.twin_values)
        mean, low, high = (self._number(x, self._apart) for x in (self.twin_mean, *ends))
        if low == high:  # one twin, or all alike
            return mean
        return f"{mean} ({span(interval(ends, self.percent, self._apart))})"

    def _signed(self, found: Mapping[str, Any], key: str = "difference") -> str:
        """A difference with its sign and interval."""
        value, ci95 = found[key], found.get("ci95")
        sign = "" if self.percent or value < 0 else "+"
        ends = f" ({span(interval(ci95, self.percent, self._apart))})" if ci95 else ""
        return sign + self._number(value, self._apart) + ends

    def _number(self, value: Any, decimals: int | None = None) -> str:
        return number(value, self.percent, places(self.verdict["ci95"]) if decimals is None else decimals)


def verdict_rows(subject: Mapping[str, Any]) -> list[VerdictRow]:
    """The rows of a record's subject."""
    controls = (subject.get("measurements") or {}).get("controls")
    images = (subject.get("dataset") or {}).get("n_images")
    # Claims under a heading of their own have images of their own.
    return [VerdictRow(v, controls, None if v.get("heading") else images) for v in subject["verdicts"]]


def counted(n: int, of: int | None) -> str:
    """A number of images, and of how many where these are not all."""
    return f"{n:,}" if of in (None, n) else f"{n:,} of {of:,}"


def under_headings(subject: Mapping[str, Any]) -> dict[str, list[VerdictRow]]:
    """The rows of a record's subject by what they stand under."""
    found: dict[str, list[VerdictRow]] = {}
    for row in verdict_rows(subject):
        found.setdefault(row.heading, []).append(row)
    return found or {THEOREM: []}


def headings(subjects: Iterable[Mapping[str, Any]]) -> str:
    """All that a run's verdicts stand under."""
    return " · ".join(dict.fromkeys(name for subject in subjects for name in under_headings(subject)))


def about_family(subjects: Iterable[Mapping[str, Any]]) -> str:
    """How many claims a run judged, and what that many give by chance; empty where it judged none."""
    judged = [v for s in subjects for v in s["verdicts"] if v.get("p_holm") is not None]
    holding = [v for v in judged if v["verdict"] == "holds"]
    if not judged:
        return ""
    sure = sum(v["p_holm"] < FAMILY for v in holding)
    return (
        f"{len(judged)} claims judged, each by itself: if none were true, at most "
        f"{FALSE_HOLDS * len(judged):.1g} would be said to hold. Of {len(holding)} that hold, {sure} do so "
        f"with p below {FAMILY:g} after Holm's adjustment for all {len(judged)}."
    )


def upper_first(text: str) -> str:
    """A text that begins with a capital letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def span(text: str) -> str:
    """``[low, high]`` as ``low to high``."""
    return text.strip("[]").replace(", ", " to ")


def assumed(model: Mapping[str, Any]) -> str | None:
    """What a record's ``model`` entry says was assumed, since its file has no config; or None."""
    config = model.get("config")
    keys = config.get("assumed") if isinstance(config, Mapping) else None
    if not isinstance(keys, list) or not keys:
        return None
    return f"the model's file has no config; assumed at their defaults: {', '.join(map(str, keys))}"


def in_short(verdict: Mapping[str, Any]) -> str:
    """A verdict in one line, as it is told before the twins are measured."""
    row = VerdictRow(verdict)
    ends = "" if row.interval == "-" else f" {row.interval}"
    known = row.reason if row.value == "-" else f"{row.value}{ends}, claimed {row.claimed}"
    return f"{row.question}: {row.title}: {row.word}{row.mark and f' ({row.mark})'}; {known}"


def describe_verdict(verdict: Mapping[str, Any]) -> str:
    """A few lines for people: the claim, the figure with its interval, the threshold, the verdict and why."""
    row = VerdictRow(verdict)
    p = "" if verdict["p"] is None else f", p = {row.p}"
    probe = f" ({verdict['probe']} probe)" if verdict.get("probe") else ""
    lines = [
        f"{row.question}: {row.title}{probe}: {row.word.upper()}",
        f"{verdict['metric']} = {row.value}, 95 % interval {row.interval}{p}, n = {verdict['n']}; "
        f"the claim is {row.claimed}",
        *filter(None, (row.reason, row.reading)),
    ]
    if row.about_twins:
        lines.append(f"beyond untrained weights: {row.attributed} ({row.about_twins})")
    return "\n".join(lines)


def notes_on(subject: Mapping[str, Any], question: str) -> list[str]:
    """The texts of a record's notes on a question."""
    notes = subject.get("notes") or []
    return [note["text"] for note in notes if question in note["questions"]]


def described(notes: list[dict[str, Any]]) -> list[str]:
    """Notes as lines: the questions, all where a note names none, then the text."""
    return [f"{', '.join(note['questions']) or 'all questions'}: {note['text']}" for note in notes]
