"""What a comparison of two subjects holds, in memory and in ``results.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

from ..stats.figure import Interval
from .record import Count, Outcome, Probability, Sha256

Moved = Literal[
    "worse", "better", "slightly worse", "slightly better", "same", "open", "differs", "lost", "not measured"
]
Flipped = Literal["worse", "worse within chance", "better", "same", "lost"]


class Ends(TypedDict):
    """A figure's value and interval on one side."""

    value: float | None
    ci95: Interval | None


class About(TypedDict):
    """Which subject a side is."""

    label: str
    id: str
    model: str
    model_sha256: Sha256
    dataset: str


class Timing(TypedDict):
    """Seconds of either side."""

    reference: float | None
    candidate: float | None


REGRESSIONS = ("worse", "lost")
FLIPS = (*REGRESSIONS, "worse within chance")
FAIL_ON = {"regression": REGRESSIONS, "flip": FLIPS, "never": ()}  # what fails a run


@dataclass(frozen=True)
class Difference:
    """One metric of two sides, candidate less reference.

    Attributes:
        metric, title, question, better, smallest, unit: see :class:`geolip_theorems.questions.Metric`.
        reference, candidate: figures (``value``, ``ci95``).
        difference: in the figure's unit; of a ``%`` metric relative to the reference.
        ci95: its 95 % interval alone.
        joint: its interval such that all those of the run hold at once with 95 %; this one decides.
        p, p_holm: of no difference, two-sided, and adjusted over the run's metrics of a kind.
        paired: by image, or from two independent intervals.
        units: images or groups a paired difference rests on.
        outcome: ``worse``, ``better`` (joint interval beyond the smallest change), ``slightly worse``,
            ``slightly better`` (beyond 0, not shown to be beyond it), ``same`` (within it), ``open``
            (cannot be told), ``differs`` (a metric without direction, beyond 0), ``lost`` (measured
            before, now not), ``not measured``.
        reason: in a sentence.
    """

    metric: str
    title: str
    question: str
    better: Literal[-1, 0, 1]
    smallest: float
    unit: Literal["", "pp", "%"]
    reference: Ends | None
    candidate: Ends | None
    difference: float | None
    ci95: Interval | None
    joint: Interval | None
    p: Probability | None
    p_holm: Probability | None
    paired: bool
    units: Count | None
    outcome: Moved
    reason: str


@dataclass(frozen=True)
class Flip:
    """One claim's verdict on two sides.

    Attributes:
        outcome: ``worse`` (the figure too, for certain), ``worse within chance`` (the figure's change may be
            chance), ``better``, ``same``, ``lost``.
    """

    claim: str
    title: str
    question: str
    reference: Outcome
    candidate: Outcome
    outcome: Flipped
    reason: str


@dataclass(frozen=True)
class Comparison:
    """A candidate against a reference on one image set; ``refused`` says why there is none."""

    kind: Literal["baseline", "models", "files"]
    reference: About
    candidate: About
    family: Count
    verdicts: list[Flip] = field(default_factory=list)
    metrics: list[Difference] = field(default_factory=list)
    timings: dict[str, Timing] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in ``results.json``."""
        return asdict(self)

    def regressions(self, fail_on: str = "regression") -> list[str]:
        """What got worse, a line each, verdicts first; ``fail_on`` is a key of ``FAIL_ON``."""
        bad = FAIL_ON[fail_on]
        return [f"{one.title}: {one.reason}" for one in (*self.verdicts, *self.metrics) if one.outcome in bad]


def regressed(comparisons: Iterable[Comparison], fail_on: str = "regression") -> str:
    """``1 verdict and 2 figures regressed``: a verdict and its figure are counted as two things, by kind."""
    bad, counts = FAIL_ON[fail_on], {"verdict": 0, "figure": 0}
    for found in comparisons:
        counts["verdict"] += sum(flip.outcome in bad for flip in found.verdicts)
        counts["figure"] += sum(difference.outcome in bad for difference in found.metrics)
    words = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items() if count]
    return f"{' and '.join(words) or 'nothing'} regressed"
