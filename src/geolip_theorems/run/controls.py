"""Whom a subject is compared with: models of its shape with random weights, measured on the same images.

Twins come from the bank where it has them for these images, else they are drawn for this subject and run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..model.architectures import architecture_of
from ..model.sources import random_twin, weights_sha256
from ..questions import Claim, Measured
from ..stats.attribution import Attribution, Beside, attribution, beside
from ..stats.figure import Figure
from ..stats.units import Units
from .subject import Subject

# Images. With 256 a twin costs twice as much, and the interval of a lead in question 3 is 2 % narrower on
# digits, a third on photos and scenes; no answer changes.
CONTROL_ABLATIONS = 64
KEPT = ("value", "ci95", "n", "method")  # of a figure; no nulls are drawn for controls


@dataclass(frozen=True)
class Member:
    """A model on the controls' images.

    Attributes:
        figures: a metric's figure by its name, without nulls, or None.
        parts: (R, N) what single images add to a metric, by its name, see :meth:`Metric.influence`.
    """

    figures: Mapping[str, Figure | None]
    parts: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, found: Measured, asked: Iterable[Claim], images: int) -> Member:
        """What the claims need of what the questions found on so many images."""
        figures, parts = {}, {}
        for metric in (claim.metric for claim in asked):
            figure, part = metric.of(found.figures), metric.influence(found.values, images)
            figures[metric.name] = figure and {name: figure[name] for name in KEPT}
            if part is not None:
                parts[metric.name] = part
        return cls(figures, parts)


@dataclass(frozen=True)
class Twin(Member):
    """A model with random weights: ``seed`` of :func:`random_twin`, ``sha256`` of its weights."""

    seed: int
    sha256: str


@dataclass(frozen=True)
class Referred(Member):
    """A reference by its name, or, without figures, why there is none: see :mod:`.references`."""

    name: str
    about: str
    missing: str = ""


@dataclass(frozen=True)
class Controls:
    """The subject, its twins and its references on the same images, whose units these are.

    ``source`` of the twins: ``bank``, ``drawn`` for this subject and run, ``none`` for a foreign model.
    """

    subject: Member
    twins: list[Twin]
    references: list[Referred]
    units: Units
    source: str

    def summary(self, asked: Iterable[Claim]) -> dict[str, Any]:
        """Each claim's figure of the subject and of every twin, as it stands in a record."""
        asked = tuple(asked)

        def figures(found: Member) -> dict[str, Any]:
            return {claim.name: found.figures.get(claim.metric.name) for claim in asked}

        return {
            "images": len(self.units),
            "source": self.source,
            "subject": figures(self.subject),
            "twins": [{"seed": twin.seed, **figures(twin)} for twin in self.twins],
            "references": [
                {"name": one.name, "about": one.about, "missing": one.missing, **figures(one)}
                for one in self.references
            ],
        }

    def attribution(self, claim: Claim) -> Attribution | None:
        """What the twins say of a claim; None without any."""
        return compared(claim, self.subject, self.twins, self.units) if self.twins else None

    def beside(self, claim: Claim) -> list[Beside]:
        """What each reference says of a claim that it has a figure for."""
        name, own = claim.metric.name, self.subject
        found = (
            beside(
                one.name,
                own.figures.get(name) or {},
                one.figures.get(name) or {},
                claim.comparison,
                own=own.parts.get(name),
                other=one.parts.get(name),
                groups=self.units,
                inflation=claim.metric.estimator.inflation(self.units.count),
            )
            for one in self.references
        )
        return [one for one in found if one is not None]


def compared(claim: Claim, subject: Member, twins: Sequence[Member], units: Units) -> Attribution:
    """:func:`attribution` of a claim on one model, among others measured on the same images."""
    name = claim.metric.name
    return attribution(
        subject.figures.get(name) or {},
        [twin.figures.get(name) or {} for twin in twins],
        claim.comparison,
        own=subject.parts.get(name),
        others=[twin.parts[name] for twin in twins if name in twin.parts],
        groups=units,
        inflation=claim.metric.estimator.inflation(units.count),
    )


def has_twins(subject: Subject) -> bool:
    """Whether the subject's shape can be made anew."""
    return architecture_of(subject.model.model) is not None


def drawn_seeds(sha256: str, seed: int, count: int) -> list[int]:
    """Distinct seeds of twins, 32 bits each, that the hash of a subject's weights and a run's seed decide."""
    found: dict[int, None] = {}
    number = 0
    while len(found) < count:
        digest = hashlib.sha256(f"twin {number} of {sha256} seed {seed}".encode()).digest()
        found[int.from_bytes(digest[:4], "big")] = None
        number += 1
    return list(found)


def chosen_images(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """(M,) the images that subject and twins are compared on, and (A,) which of these are ablated, ascending.

    The second are positions among the first; at most 64, all of them ablated in the subject too.
    """
    order = subject.images.spread_order()
    chosen = np.sort(order[: subject.options.control_images])
    few = np.intersect1d(order[:CONTROL_ABLATIONS], subject.ablated())
    return chosen, np.flatnonzero(np.isin(chosen, few))


def twin_of(subject: Subject, seed: int, images: np.ndarray) -> Subject:
    """A subject of the same shape with fresh weights from a seed, on some of the images, (M,) indices."""
    model = random_twin(subject.model.model.config, seed).to(subject.options.device)
    loaded = replace(subject.model, model=model, name=f"twin-{seed}", sha256=weights_sha256(model))
    return replace(subject, model=loaded, images=subject.images.take(images))
