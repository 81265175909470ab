"""Verdicts and figures as text."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIGITS_OF_WIDTH = 3  # of an interval: its figure has as many decimals
FAMILY = 0.05  # of all claims of a run together
FALSE_HOLDS = 0.025  # of claims whose figures lie on their thresholds
THEOREM = "Theorem 3, release fidelity"
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


@dataclass(frozen=True)
class VerdictRow:
    """A verdict as every reader shows it, in texts; ``-`` or empty where there is nothing to say.

    Attributes:
        verdict: as it stands in a record.
        controls: the record's figures of the subject and its twins on the same images, or None.
        all_images: how many the subject has, None where nobody says.
    """

    verdict: Mapping[str, Any]
    controls: Mapping[str, Any] | None = None
    all_images: int | None = None

    @property
    def percent(self) -> bool:
        """Whether the figure is shown in percentage points."""
        return self.verdict.get("unit") == "pp"

    @property
    def question(self) -> str:
        return self.verdict["question"]

    @property
    def heading(self) -> str:
        """What it stands under."""
        return self.verdict.get("heading") or THEOREM

    @property
    def title(self) -> str:
        return self.verdict["title"]

    @property
    def word(self) -> str:
        """The verdict itself."""
        return self.verdict["verdict"]

    @property
    def value(self) -> str:
        return self._number(self.verdict["value"])

    @property
    def interval(self) -> str:
        ci95 = self.verdict["ci95"]
        return interval(ci95, self.percent, places(ci95))

    @property
    def claimed(self) -> str:
        """What the claim says of the figure: ``> 0.1``."""
        scale, unit = (100, " pp") if self.percent else (1, "")
        return f"{self.verdict['comparison']} {self.verdict['threshold'] * scale:g}{unit}"

    @property
    def images(self) -> str:
        """``1,797``, or ``296 of 300`` where the figure leaves some out."""
        return counted(self.verdict["n"], self.all_images)

    @property
    def script(self) -> str:
        return self._number(self.verdict.get("script_value"))

    @property
    def p(self) -> str:
        p = self.verdict["p"]
        return "-" if p is None else f"{p:.3g}"

    @property
    def attributed(self) -> str:
        """Is the subject beyond untrained weights: yes, no or not shown; a dash without twins."""
        if self.verdict["attribution"] is None:
            return "-"
        return {True: "yes", False: "no", None: "not shown"}[self.verdict["attributed"]]

    @property
    def training(self) -> str:
        """Is it beyond untrained weights, a fitted last layer and simple codecs: yes, no or not shown."""
        if self.verdict["attribution"] is None and not self.verdict.get("references"):
            return "-"
        return {True: "yes", False: "no", None: "not shown"}[self.verdict.get("training")]

    @property
    def references(self) -> list[tuple[str, str, str]]:
        """Each reference's name, figure and difference to it with its interval."""
        return [
            (
                one["name"],
                self._number(one["value"], self._apart),
                self._signed(one["difference"], one["ci95"]),
            )
            for one in self.verdict.get("references") or []
        ]

    @property
    def mark(self) -> str:
        """``expected`` where the verdict is one that was."""
        return "expected" if self.verdict["expected"] == self.word else ""

    @property
    def expected(self) -> str:
        """What was expected, and whether it was found."""
        expected, reason = self.verdict.get("expected"), self.verdict.get("expected_reason") or ""
        if not expected:
            text = self.verdict.get("unchecked") or ""
            return upper_first(text) + "." if text else ""
        return (
            f"Expected: {reason}" if self.mark else f"Not as expected: this should be “{expected}” ({reason})"
        )

    @property
    def reading(self) -> str:
        """Which of its references the figure equals."""
        return self.verdict.get("reading") or ""

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
                why += ", but " + (
                    "the null was not tested" if v["p"] is None else f"p = {self.p} is too large"
                )
        tail = found.partition("; ")[2]
        return why + (f"; {tail}" if tail else "")

    @property
    def twin_values(self) -> list[float]:
        """The figures of the random-weight twins, raw."""
        found = (twin.get(self.verdict["claim"]) for twin in self._controls("twins"))
        values = (figure.get("value") for figure in found if isinstance(figure, Mapping))
        return [float(value) for value in values if value is not None]

    @property
    def twin_mean(self) -> float | None:
        found = self.twin_values
        return sum(found) / len(found) if found else None

    @property
    def twins(self) -> str:
        """Mean and range of the twins."""
        found = self.twin_values
        if not found:
            return "not measured"
        mean, low, high = (self._number(x, self._apart) for x in (self.twin_mean, min(found), max(found)))
        if low == high:  # one twin, or all alike: no spread to show
            return mean
        return f"{mean} ({span(interval([min(found), max(found)], self.percent, self._apart))})"

    @property
    def twin_count(self) -> str:
        """``5 twins, 512 images``, or empty without any."""
        n, images = len(self.twin_values), int((self.controls or {}).get("images") or 0)
        return f"{n} twin{'s' if n > 1 else ''}, {images:,} images" if n and images else ""

    @property
    def beside_twins(self) -> str:
        """The subject's own figure on the twins' images."""
        found = ((self.controls or {}).get("subject") or {}).get(self.verdict["claim"]) or {}
        return self._number(found.get("value"), self._apart)

    @property
    def difference(self) -> str:
        """The subject less the mean of its twins on their images, with its interval."""
        found = self._difference
        if found.get("value") is None:
            return ""
        return self._signed(found["value"], found.get("ci95"))

    @property
    def about_twins(self) -> str:
        """A clause on what the twins say: the difference, or why there is none."""
        found = self.verdict["attribution"]
        if found is None:
            return ""
        return f"{self.difference} from the mean of its twins" if self.difference else found["reason"]

    def properties(self) -> dict[str, Any]:
        """The verdict's raw values by name, those that are known, as JUnit has them."""
        v = self.verdict
        low, high = v["ci95"] or (None, None)
        names = ("theorem", "question", "claim", "metric", "value", "threshold", "comparison", "n", "p")
        names += ("verdict", "attributed", "probe", "script_value")
        found = {name: v.get(name) for name in names} | {"ci95_low": low, "ci95_high": high}
        found |= {"heading": self.heading, "reading": self.reading or None}
        return {name: value for name, value in found.items() if value is not None}

    @property
    def _difference(self) -> Mapping[str, Any]:
        return (self.verdict.get("attribution") or {}).get("difference") or {}

    @property
    def _apart(self) -> int | None:
        """Decimals of the subject, the twins and their difference: the same, so that they add up."""
        known = places(self.verdict["ci95"]), places(self._difference.get("ci95"))
        return max((found for found in known if found is not None), default=None)

    def _signed(self, value: float, ci95: Any) -> str:
        sign = "" if self.percent or value < 0 else "+"
        ends = f" ({span(interval(ci95, self.percent, self._apart))})" if ci95 else ""
        return sign + self._number(value, self._apart) + ends

    def _number(self, value: Any, decimals: int | None = None) -> str:
        return number(value, self.percent, places(self.verdict["ci95"]) if decimals is None else decimals)

    def _controls(self, name: str) -> Sequence[Mapping[str, Any]]:
        return (self.controls or {}).get(name) or []


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
