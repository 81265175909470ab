"""Whom a subject is compared with: models of its shape with random weights, measured on the same images.

Twins come from the bank (:mod:`geolip_theorems.bank`) where it has them for just these images, else they are
drawn for this subject and this run: no two subjects share a draw, so none is favoured by a lucky one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .claims import CLAIMS, Claim
from .measures.attribution import Attribution, attribution, contributions, inflation_of
from .measures.per_image import per_image_arrays
from .model.sources import random_twin, weights_sha256
from .subject import Subject

KEPT = ("value", "ci95", "n", "method")  # of a figure; nulls are not drawn for controls


@dataclass(frozen=True)
class Measured:
    """A model on the controls' images.

    Attributes:
        figures: by claim: a figure's ``value``, ``ci95``, ``n`` and ``method``, or None.
        parts: by claim: (R, N) what single images add to it, see :func:`contributions`.
    """

    figures: Mapping[str, dict[str, Any] | None]
    parts: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Twin(Measured):
    """A random-weight model: ``seed`` and ``sha256`` of its weights, see :func:`random_twin`."""

    seed: int
    sha256: str


@dataclass(frozen=True)
class Controls:
    """The subject and its twins on the same images.

    Attributes:
        subject: the subject on the controls' images. twins: the others.
        groups: (N,) of the images, or None. images: how many.
        source: ``bank``, or ``drawn`` for this subject and run.
    """

    subject: Measured
    twins: list[Twin]
    groups: np.ndarray | None
    images: int
    source: str

    def attribution(self, claim: Claim) -> Attribution:
        """Whether the subject is beyond its twins in the claim's direction."""
        return compared(claim, self.subject, self.twins, self.groups)

    def summary(self) -> dict[str, Any]:
        """The record's ``controls`` entry: each claim's figure of the subject and of every twin."""
        return {
            "images": self.images,
            "source": self.source,
            "subject": dict(self.subject.figures),
            "twins": [{"seed": twin.seed, **twin.figures} for twin in self.twins],
        }


def compared(
    claim: Claim, subject: Measured, twins: list[Twin] | list[Measured], groups: np.ndarray | None
) -> Attribution:
    """:func:`attribution` of one claim of a model against others on the same images."""
    name = claim.name
    return attribution(
        subject.figures.get(name) or {},
        [twin.figures.get(name) or {} for twin in twins],
        claim.comparison,
        own=subject.parts.get(name),
        others=[twin.parts[name] for twin in twins if name in twin.parts],
        groups=groups,
        inflation=inflation_of(claim.metric),
    )


def measured(maps: Any, figures: Mapping[str, Any], hits: Mapping[str, np.ndarray]) -> Measured:
    """What a comparison needs of a model.

    Args:
        maps: of the controls' images. figures: by claim, as in ``Measured``. hits: (R, N) bool a probe.
    """
    parts = contributions(per_image_arrays(maps, hits))
    return Measured(figures, {c.name: parts[c.metric] for c in CLAIMS if c.metric in parts})


def control_images(subject: Subject) -> tuple[np.ndarray, np.ndarray]:
    """Which of a subject's images its twins are measured on, (M,) ascending, and which of these are ablated.

    The second are (A,) positions among the first, ascending.
    """
    chosen = np.sort(subject.images.spread_order()[: subject.options.control_images])
    return chosen, np.flatnonzero(np.isin(chosen, subject.ablated()))


def drawn_seeds(sha256: str, seed: int, count: int) -> list[int]:
    """Distinct seeds of twins, 32 bits each, that the subject's hash and the run's seed decide."""
    found: dict[int, None] = {}
    number = 0
    while len(found) < count:
        digest = hashlib.sha256(f"twin {number} of {sha256} seed {seed}".encode()).digest()
        found[int.from_bytes(digest[:4], "big")] = None
        number += 1
    return list(found)


def twin_of(subject: Subject, seed: int, images: np.ndarray) -> Subject:
    """A subject of the same shape with fresh weights from a seed, on some of the images, (M,) indices."""
    model = random_twin(subject.model.model.config, seed).to(subject.options.device)
    loaded = replace(subject.model, model=model, name=f"twin-{seed}", sha256=weights_sha256(model))
    return replace(subject, model=loaded, images=subject.images.take(images))
