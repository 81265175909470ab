"""Questions, and what they are made of: metrics and the claims on them, ``corrected_cv > 0.1``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.errors import InputError, shown, unknown
from ..stats.estimators import Estimator
from ..stats.figure import Figure

if TYPE_CHECKING:
    from .study import Study

LARGEST_THRESHOLD = 1e300


def look_up(tree: Mapping[str, Any] | None, path: str) -> Any:
    """The entry at keys joined by dots, or None where one of them is missing."""
    node: Any = tree
    for key in path.split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


@dataclass(frozen=True, eq=False)
class Metric:
    """A figure that claims, attribution and comparisons are about.

    Attributes:
        name: where the figure stands in a record's calibrated measurements, keys joined by dots.
        estimator: how it comes from what images contribute.
        reads: the kept arrays that hold that, see :class:`Measured`.
        unit: ``pp``, percentage points of a share; ``%``, compared relative to the reference; else none.
        better: +1 where larger is better, -1 where smaller is; where 0 it never fails a comparison.
        smallest: the smallest change of interest, in the figure's own unit; of a relative metric, a share.
        rows: the kept array with the positions of the images that have a part in it; None for all images.
        tested: the figure has a ``p``, which a claim on labelled images needs below 0.01.
        needs_labels: it compares classes.
        script: the original script's figure from its part of the record, or None where it has none.
    """

    name: str
    title: str
    estimator: Estimator
    reads: tuple[str, ...] = ()
    unit: str = ""
    better: int = 0
    smallest: float = 0.0
    rows: str | None = None
    tested: bool = False
    needs_labels: bool = False
    script: Callable[[Mapping[str, Any]], float | None] | None = None

    def __gt__(self, threshold: float) -> Claim:
        return Claim(self, ">", _number(self.name, threshold))

    def __lt__(self, threshold: float) -> Claim:
        return Claim(self, "<", _number(self.name, threshold))

    def of(self, figures: Mapping[str, Any] | None) -> Figure | None:
        """The figure among a subject's calibrated measurements, or None."""
        return look_up(figures, self.name)

    def values(self, kept: Mapping[str, np.ndarray]) -> tuple[np.ndarray, ...] | None:
        """The metric's arrays among a subject's kept ones, or None where one is missing."""
        found = tuple(kept[name] for name in self.reads if name in kept)
        return found if self.reads and len(found) == len(self.reads) else None

    def influence(self, kept: Mapping[str, np.ndarray], n: int) -> np.ndarray | None:
        """(R, n) what each of a subject's n images adds to the figure; NaN where it has no part in it."""
        values = self.values(kept)
        found = None if values is None else self.estimator.influence(values)
        if found is None or self.rows is None:
            return found
        whole = np.full((len(found), n), np.nan)
        whole[:, kept[self.rows]] = found
        return whole


def _number(name: str, threshold: Any) -> float:
    known = isinstance(threshold, (int, float, np.integer, np.floating)) and not isinstance(threshold, bool)
    if not known or not abs(threshold) < LARGEST_THRESHOLD:
        raise InputError(
            f"threshold of {name!r} is {shown(threshold, 60)}; expected a number, finite and below "
            f"{LARGEST_THRESHOLD:g}"
        )
    return float(threshold)


@dataclass(frozen=True, eq=False)
class Claim:
    """``metric > threshold`` or ``metric < threshold``.

    ``name``: as in thresholds and expectations files. ``title``: the claim in a few words.
    """

    metric: Metric
    comparison: str
    threshold: float
    name: str = ""
    title: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or str(self))
        object.__setattr__(self, "title", self.title or f"{self.metric.title} {self.condition}")

    def named(self, name: str, title: str) -> Claim:
        """The claim under a name of its own."""
        return replace(self, name=name, title=title)

    def at(self, threshold: float) -> Claim:
        """The claim with another threshold."""
        return replace(self, threshold=_number(self.name, threshold))

    def same_as(self, other: Claim) -> bool:
        """Whether both say the same of the same metric."""
        mine, theirs = ((c.metric.name, c.comparison, c.threshold) for c in (self, other))
        return mine == theirs

    @property
    def condition(self) -> str:
        """``> 0.1``."""
        return f"{self.comparison} {self.threshold:g}"

    def __str__(self) -> str:
        return f"{self.metric.name} {self.condition}"

    def __bool__(self) -> bool:
        raise TypeError(f"{self} is a claim, neither true nor false before it is measured")


def later(module: str, *names: str) -> Callable[[], list[Callable[[Any], Any]]]:
    """Gives functions of a module by their names; the module is imported when they are asked for."""
    return lambda: [getattr(import_module(module), name) for name in names]


@dataclass(frozen=True)
class Measured:
    """What a question found.

    Attributes:
        figures: every figure, as it stands in the record's calibrated measurements.
        values: what single images contribute, by name, one row per image unless the metric names its rows.
    """

    figures: dict[str, Any]
    values: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Question:
    """A question put to a model's maps.

    Attributes:
        id: ``q1``; unique.
        title: what is asked. about: two sentences for a reader who begins here.
        measure: from the images under study to figures; None where another question's measure has them.
        metrics: what is compared between versions. claims: what is judged.
        figures, tables: give the builders of the report's blocks, called when one is made; the terminal shows
            the tables too, and they load no drawing library.
        cached: its measure is a function of maps, seed and probe alone until ``MEASURES_VERSION`` is raised.
        on_request: measured only where a test asks for one of its claims; it may run the model again
            (``study.model``), and has twins of its own.
        key: what its figures depend on besides the maps, as pairs; kept figures of another key are not used.
        heading: what its verdicts stand under where they are no part of theorem 3.
    """

    id: str
    title: str
    about: str
    measure: Callable[[Study], Measured] | None = None
    metrics: tuple[Metric, ...] = ()
    claims: tuple[Claim, ...] = ()
    figures: Callable[[], Sequence[Callable[[Any], Any]]] = tuple
    tables: Callable[[], Sequence[Callable[[Any], Any]]] = tuple
    cached: bool = True
    on_request: bool = False
    key: tuple[tuple[str, Any], ...] = ()
    heading: str = ""

    @property
    def label(self) -> str:
        """``Question 4`` of one named ``q4``, else its name, after its heading where it has one."""
        number = self.id.removeprefix("q")
        named = f"Question {number}" if number.isdigit() else self.id
        return f"{self.heading}: {named}" if self.heading else named


_ASKED: dict[str, Question] = {}


def register(question: Question) -> Question:
    """Ask a question in every run from now on; one of the same id is replaced."""
    _ASKED[question.id] = question
    return question


def questions(on_request: bool = True) -> tuple[Question, ...]:
    """Every question asked, in the order of registration; ``on_request``: and those asked on request."""
    return tuple(question for question in _ASKED.values() if on_request or not question.on_request)


def ask(study: Study) -> Measured:
    """Every run's questions' measures on one study, put together.

    Cost: 2,000 images of 2,304 features: 49 s of processor time, four fifths of it the probes.
    """
    whole = Measured({}, {})
    for question in questions(on_request=False):
        if question.measure is not None:
            found = question.measure(study)
            whole.figures.update(found.figures)
            whole.values.update(found.values)
    return whole


def metrics(on_request: bool = False) -> tuple[tuple[Question, Metric], ...]:
    """Every metric of every run with its question; ``on_request``: and of what is asked on request."""
    return tuple((question, metric) for question in questions(on_request) for metric in question.metrics)


def claims(on_request: bool = False) -> tuple[Claim, ...]:
    """The claims of every run's questions; ``on_request``: and of those asked on request."""
    return tuple(claim for question in questions(on_request) for claim in question.claims)


def question_of(metric: Metric) -> Question | None:
    """The question a metric belongs to."""
    return next((q for q, known in metrics(on_request=True) if known.name == metric.name), None)


def requested(asked: Iterable[Claim]) -> set[str]:
    """The ids of the questions asked on request that some claims belong to."""
    found = map(question_of, (claim.metric for claim in asked))
    return {question.id for question in found if question and question.on_request}


def with_thresholds(table: Mapping[str, float]) -> tuple[Claim, ...]:
    """Every question's claims, those on request too, thresholds replaced by claim name.

    ``InputError`` for a name that no claim has, or a threshold that is no finite number.
    """
    known = {claim.name: claim for claim in claims(on_request=True)}
    for name in table:
        if name not in known:
            raise unknown("claim in the thresholds file", name, known)
    return tuple(claim.at(table[claim.name]) if claim.name in table else claim for claim in known.values())
