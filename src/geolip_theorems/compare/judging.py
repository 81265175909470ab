"""Two runs side by side: which verdicts flipped, and which metrics moved by more than chance and taste allow.

Pure: two sides in, a :class:`Comparison` out. A side is a subject of a results file with its companion's
arrays. Where both sides have arrays of the same images, differences are paired image by image; else the two
intervals are combined as those of independent samples, and the comparison says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from ..questions import Metric, Question, claims, metrics
from ..results.comparison import Comparison, Difference, Flip
from ..stats.intervals import holm
from .pairing import Side, check_comparable, paired_difference

FAMILY_ERROR = 0.05  # of all intervals of all comparisons of a run together
LARGEST_PERCENT = 10.0  # relative changes beyond 1,000 % read better as ratios
RANK = {"fails": 0, "inconclusive": 1, "holds": 2}


def compare(reference: Side, candidate: Side, *, kind: str = "files", comparisons: int = 1) -> Comparison:
    """Compare two subjects.

    Args:
        kind: ``baseline``, ``models`` or ``files``.
        comparisons: in the run altogether; intervals are widened so that with a probability of 95 % all
            of them hold at once.

    Raises:
        InputError: other data or another protocol.
    """
    check_comparable(reference.subject, candidate.subject)
    notes = [side.note for side in (reference, candidate) if side.note]
    notes += _environment_notes(reference.subject, candidate.subject)
    found: list[Difference] = []
    for group in (+1, 0):
        chosen = [pair for pair in metrics() if abs(pair[1].better) == group]
        found += _differences(chosen, reference, candidate, len(chosen) * comparisons)
    by_metric = {difference.metric: difference for difference in found}
    return Comparison(
        kind=kind,
        reference=_about(reference),
        candidate=_about(candidate),
        family=comparisons,
        verdicts=_flips(reference.subject, candidate.subject, by_metric),
        metrics=found,
        timings=_timings(reference.subject, candidate.subject),
        notes=notes,
    )


def refused(reference: Side, candidate: Side, *, kind: str, reason: str) -> Comparison:
    """A comparison that could not be made, and why."""
    return Comparison(kind, _about(reference), _about(candidate), 0, refused=reason)


def _about(side: Side) -> dict[str, Any]:
    subject = side.subject
    return {
        "label": side.label or subject["id"],
        "id": subject["id"],
        "model": subject["model"]["name"],
        "model_sha256": subject["model"]["sha256"],
        "dataset": subject["dataset"]["name"],
    }


def _environment_notes(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    notes = []
    if reference["device"] != candidate["device"]:
        notes.append(f"devices differ: {reference['device']} then, {candidate['device']} now")
    if reference["model"]["sha256"] == candidate["model"]["sha256"]:
        notes.append("both sides have the same weights")
    return notes


def _differences(
    chosen: Sequence[tuple[Question, Metric]], reference: Side, candidate: Side, family: int
) -> list[Difference]:
    parts = [part_of(metric, reference, candidate) for _, metric in chosen]
    known = [i for i, part in enumerate(parts) if part.p is not None]
    # Holm's rule within a comparison, Bonferroni's over several.
    p_holm = np.minimum(holm(np.array([parts[i].p for i in known])) * (family // len(chosen)), 1)
    adjusted = dict(zip(known, p_holm.tolist(), strict=True))
    return [
        _judge(question, metric, part, adjusted.get(i), family)
        for i, ((question, metric), part) in enumerate(zip(chosen, parts, strict=True))
    ]


@dataclass(frozen=True)
class Part:
    """A metric's figures and its difference before it is judged."""

    reference: Mapping[str, Any] | None
    candidate: Mapping[str, Any] | None
    difference: float | None = None
    error: float | None = None
    df: float = math.inf
    paired: bool = False
    units: int | None = None

    @property
    def p(self) -> float | None:
        if self.difference is None or self.error is None:
            return None
        if self.error == 0:
            return 1.0 if self.difference == 0 else 0.0
        return float(2 * scipy.stats.t.sf(abs(self.difference) / self.error, self.df))

    def interval(self, family: int) -> list[float] | None:
        """The interval that holds together with ``family`` - 1 others (Bonferroni)."""
        if self.difference is None or self.error is None:
            return None
        reach = float(scipy.stats.t.ppf(1 - FAMILY_ERROR / (2 * family), self.df)) * self.error
        return [self.difference - reach, self.difference + reach]


def part_of(metric: Metric, reference: Side, candidate: Side) -> Part:
    """A metric on both sides, and its difference: paired by image where their arrays allow it."""
    first, second = figures = reference.figure(metric), candidate.figure(metric)
    if None in figures:
        return Part(*figures)
    found = paired_difference(metric, reference, candidate)
    if found is not None:
        error = found.error if math.isfinite(found.error) else None
        return Part(first, second, found.difference, error, found.df, True, found.units)
    relative = metric.estimator.relative
    scale = first["value"] if relative else 1.0
    difference = (second["value"] - first["value"]) / scale
    if first.get("ci95") is None or second.get("ci95") is None:
        return Part(first, second, difference)
    z = float(scipy.stats.norm.ppf(0.975))
    errors = [(f["ci95"][1] - f["ci95"][0]) / (2 * z * scale) for f in figures]
    if relative:
        errors[0] *= second["value"] / scale
    return Part(first, second, difference, math.hypot(*errors))


def _judge(question: Question, metric: Metric, part: Part, p_holm: float | None, family: int) -> Difference:
    joint = part.interval(family)
    outcome, reason = _outcome(metric, part, joint)
    return Difference(
        metric=metric.name,
        title=metric.title,
        question=question.id,
        better=metric.better,
        smallest=metric.smallest,
        unit=metric.unit,
        reference=ends(part.reference),
        candidate=ends(part.candidate),
        difference=part.difference,
        ci95=part.interval(1),
        joint=joint,
        p=part.p,
        p_holm=p_holm,
        paired=part.paired,
        units=part.units,
        outcome=outcome,
        reason=reason,
    )


def ends(figure: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The value and the interval of a figure, if there is one."""
    return None if figure is None else {key: figure.get(key) for key in ("value", "ci95")}


def _outcome(metric: Metric, part: Part, joint: list[float] | None) -> tuple[str, str]:
    if part.reference is None or part.candidate is None:
        if part.reference is not None and metric.better:
            return "lost", "measured in the reference and not any more"
        return "not measured", "not measured in both"
    least = size(metric.smallest, metric.unit)
    moved = f"{change(part.difference, metric.unit)} (smallest change of interest {least})"
    if joint is None:
        return "open", f"{moved}; there is no interval"
    how = "paired" if part.paired else "unpaired"
    moved = f"{moved}, {how} joint interval {' to '.join(changes(joint, metric.unit))}"
    low, high = sorted((metric.better or 1) * end for end in joint)
    if low == high == 0:
        return "same", "no difference at all"
    if not low <= 0 <= high:
        if not metric.better:
            return "differs", moved
        word = "better" if low > 0 else "worse"
        certainly = f"certainly {said(word, metric.name)}"
        if min(abs(low), abs(high)) > metric.smallest:
            return word, f"{certainly}, by enough to matter: {moved}"
        if max(abs(low), abs(high)) <= metric.smallest:
            return f"slightly {word}", f"{certainly}, and by too little to matter: {moved}"
        return f"slightly {word}", f"{certainly}, not certainly by enough to matter: {moved}"
    if max(abs(low), abs(high)) <= metric.smallest:
        return "same", f"any difference is too small to matter: {moved}"
    return "open", f"no difference is shown: {moved}"


def _flips(
    reference: Mapping[str, Any], candidate: Mapping[str, Any], by_metric: Mapping[str, Difference]
) -> list[Flip]:
    before = {verdict["claim"]: verdict["verdict"] for verdict in reference["verdicts"]}
    flips = []
    for now in candidate["verdicts"]:
        claim, word = now["claim"], now["verdict"]
        if claim in before:
            outcome, reason = _flip(before[claim], word, by_metric.get(now["metric"]))
            flips.append(Flip(claim, now["title"], now["question"], before[claim], word, outcome, reason))
    order = ("worse", "lost", "worse within chance", "better", "same")
    return sorted(flips, key=lambda flip: order.index(flip.outcome))


def _flip(then: str, now: str, difference: Difference | None) -> tuple[str, str]:
    """What became of a verdict, and whether its figure is worse for certain.

    A figure near its threshold changes sides between models that are alike; that is said, and fails a run
    only where flips are asked to. A figure without an interval cannot be told from one that moved.
    """
    if then == now:
        return "same", f"{now}, as before"
    words = f"{then} before, {now} now"
    if "not measured" in (then, now):
        return ("lost" if now == "not measured" else "same"), words
    if RANK[now] > RANK[then]:
        return "better", words
    if difference is None or difference.joint is None:
        return "worse", f"{words}; the figures' difference has no interval"
    low, high = sorted(difference.better * end for end in difference.joint)
    if low == high == 0:
        return "worse within chance", f"{words}, though the figure is the same"
    if high < 0:
        return "worse", f"{words}; {difference.reason}"
    return "worse within chance", f"{words}, within chance: {difference.reason}"


def _timings(*sides: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Seconds of either side by stage; what came from a cache was not timed."""
    a, b = ({} if side["timings"].get("from_cache") else side["timings"] for side in sides)
    stages = [key for key in dict.fromkeys([*a, *b]) if key.endswith("_s")]
    return {stage: {"reference": a.get(stage), "candidate": b.get(stage)} for stage in stages}


def said(outcome: str, metric: str) -> str:
    """An outcome in words: a figure that a claim is about moves toward the claim, which is not better."""
    return toward(outcome) if any(claim.metric.name == metric for claim in claims()) else outcome


def toward(outcome: str) -> str:
    """The outcome of a claim, or of a figure that one is about, in words."""
    return outcome.replace("better", "toward the claim").replace("worse", "away from the claim")


def change(value: float, unit: str) -> str:
    """A signed difference in its unit."""
    return changes((value,), unit)[0]


def changes(values: Sequence[float], unit: str) -> list[str]:
    """Signed differences in their unit; relative ones as ratios to the reference where one is very large."""
    if unit == "%" and max(map(abs, values)) > LARGEST_PERCENT:
        ratios = [1 + value for value in values]
        return [f"×{ratio:.3g}" if abs(ratio) < 999.5 else f"×{ratio:,.0f}" for ratio in ratios]
    return [f"{100 * value:+.2f} {unit}" if unit else f"{value:+.4g}" for value in values]


def size(value: float, unit: str) -> str:
    """The same without a sign."""
    return f"{100 * value:g} {unit}" if unit else f"{value:g}"
