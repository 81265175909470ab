"""The random-weight twins beside a subject, and what they say of a claim."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..model.architectures import architecture_of
from ..model.sources import random_twin, weights_sha256
from ..questions import Claim, Measured
from ..stats.attribution import Attribution, attribution
from ..stats.units import Units
from .subject import Subject

FIRST_TWIN_SEED = 1001  # away from the seeds people choose for `random:`


@dataclass(frozen=True)
class Controls:
    """The subject and its twins on the same images.

    Attributes:
        subject, twins: what every question found. units: of these images.
    """

    subject: Measured
    twins: list[Measured]
    units: Units
    images: int
    seeds: list[int]

    def summary(self, asked: Iterable[Claim]) -> dict[str, Any]:
        """Each claim's figure of the subject and of every twin, as it stands in a record."""
        asked = tuple(asked)

        def figures(found: Measured) -> dict[str, Any]:
            return {claim.name: claim.metric.of(found.figures) for claim in asked}

        twins = [{"seed": seed, **figures(twin)} for seed, twin in zip(self.seeds, self.twins, strict=True)]
        return {"images": self.images, "subject": figures(self.subject), "twins": twins}


def twin_seeds(subject: Subject) -> list[int]:
    """The seeds of a subject's twins; none where none are asked for, or its shape cannot be made anew."""
    count = subject.options.controls
    if not count or architecture_of(subject.model.model) is None:
        return []
    return list(range(FIRST_TWIN_SEED, FIRST_TWIN_SEED + count))


def chosen_images(subject: Subject) -> np.ndarray:
    """(M,) ascending, the images that subject and twins are compared on."""
    return np.sort(subject.images.spread_order()[: subject.options.control_images])


def twin_of(subject: Subject, seed: int, images: np.ndarray) -> Subject:
    """A subject of the same shape with fresh weights from a seed, on some of the images, (M,) indices."""
    model = random_twin(subject.model.model.config, seed).to(subject.options.device)
    loaded = replace(subject.model, model=model, name=f"twin-{seed}", sha256=weights_sha256(model))
    return replace(subject, model=loaded, images=subject.images.take(images))


def attributed(claim: Claim, controls: Controls | None) -> Attribution | None:
    """What the twins say of a claim; None without twins."""
    if controls is None:
        return None
    metric, n = claim.metric, len(controls.units)
    parts = [metric.influence(found.values, n) for found in (controls.subject, *controls.twins)]
    return attribution(
        metric.of(controls.subject.figures) or {},
        [metric.of(twin.figures) or {} for twin in controls.twins],
        claim.comparison,
        own=parts[0],
        others=[part for part in parts[1:] if part is not None],
        groups=controls.units,
        inflation=metric.estimator.inflation,
    )
