"""Several models on the same images: each metric's ranks, with intervals that hold for all models at once.

Two models are told apart where the interval of their difference, paired by image and widened for all pairs of
models (Bonferroni), leaves out 0. If no pair is ordered wrongly, which has a probability of 95 % for each
metric, every model's rank lies between one more than the number of models that are shown to be better and the
number of those that are not shown to be worse (Al Mohamad, Goeman and van Zwet 2022, Biometrics 78).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from ..questions import Metric, metrics
from .judging import part_of
from .pairing import Side, differing

LEAST = 3  # models: of two the comparison says all


@dataclass(frozen=True)
class Place:
    """A model's figure and the least and greatest rank it may have, 1 the best; None where unknown."""

    model: str
    value: float | None
    ci95: Sequence[float] | None
    ranks: tuple[int, int] | None


@dataclass(frozen=True)
class Ranking:
    """A metric's models in the order they were given.

    Attributes:
        dataset: the images. metric, title, question, unit: see :class:`geolip_theorems.questions.Metric`.
        apart, pairs: pairs of models that are told apart, of so many.
    """

    dataset: str
    metric: str
    title: str
    question: str
    unit: str
    places: tuple[Place, ...]
    apart: int
    pairs: int


def rankings(sides: Sequence[Side]) -> list[Ranking]:
    """The rankings of every set of images that at least three comparable subjects were measured on.

    Metrics without a better direction and those that fewer than two models have are left out.
    """
    groups: list[list[Side]] = []
    for side in sides:
        group = next((group for group in groups if not differing(group[0].subject, side.subject)), [])
        if not group:
            groups.append(group)
        group.append(side)
    return [
        found
        for group in groups
        if len(group) >= LEAST
        for question, metric in metrics()
        if metric.better and (found := _ranking(metric, question.id, group)) is not None
    ]


def _ranking(metric: Metric, question: str, group: Sequence[Side]) -> Ranking | None:
    figures = [side.figure(metric) for side in group]
    known = [i for i, figure in enumerate(figures) if figure is not None]
    pairs = list(combinations(known, 2))
    if not pairs:
        return None
    better, worse = dict.fromkeys(known, 0), dict.fromkeys(known, 0)  # how many are shown to be
    for i, j in pairs:
        order = _order(metric, group[i], group[j], len(pairs))
        if order:
            first, second = (i, j) if order < 0 else (j, i)
            worse[first] += 1
            better[second] += 1
    names = [side.subject["model"]["name"] for side in group]
    places = tuple(
        Place(
            model=name if names.count(name) == 1 else side.label,
            value=figure and figure["value"],
            ci95=figure and figure.get("ci95"),
            ranks=(1 + better[i], len(known) - worse[i]) if i in better else None,
        )
        for i, (name, side, figure) in enumerate(zip(names, group, figures, strict=True))
    )
    return Ranking(
        dataset=group[0].subject["dataset"]["name"],
        metric=metric.name,
        title=metric.title,
        question=question,
        unit=metric.unit,
        places=places,
        apart=sum(better.values()),
        pairs=len(pairs),
    )


def _order(metric: Metric, first: Side, second: Side, pairs: int) -> int:
    """-1 where the first is shown to be better, +1 where the second is, 0 where neither."""
    interval = part_of(metric, first, second).interval(pairs)
    if interval is None:
        return 0
    low, high = sorted(metric.better * end for end in interval)
    return 1 if low > 0 else -1 if high < 0 else 0
