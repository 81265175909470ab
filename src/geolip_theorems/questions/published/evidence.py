"""Everything the published claims need of a subject and of its twins, each model run once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...data.noise import FAMILIES, sample
from ...data.unseen_noise import UNSEEN_FAMILIES, sample_unseen
from ...model.architectures import architecture_of
from ...model.sources import random_twin
from ...stats.units import Units
from ..study import Study, image_groups
from .passes import SIZES, TRAINED, WHOLE, Passes, passes_of, white_images
from .rows import Rows, rows_of

IMAGES, A_FAMILY = 32, 2  # of the subject's own; of each of the noise families
TWINS, PASS_TWINS = 6, 3  # all of them on images as large as the trained ones, some on other sizes
TWIN_SIZES = SIZES[:-1]  # the largest costs as much as all others


@dataclass(frozen=True)
class Evidence:
    """Of one model: rows on the subject's images, the trained families, the others; and other sizes."""

    images: Rows | None
    noise: Rows | None
    unseen: Rows | None
    passes: Passes | None


@dataclass(frozen=True)
class Gathered:
    """A subject and its random-weight twins on the same images; ``units`` are those of its own images."""

    own: Evidence
    twins: tuple[Evidence, ...]
    units: Units


def gathered(study: Study) -> Gathered:
    """What is measured once and for all claims of a study.

    Cost: the embedded model and its twins 21 s of processor time.
    """
    if "published" not in study.memo:
        study.memo["published"] = _gather(study)
    return study.memo["published"]


def _gather(study: Study) -> Gathered:
    model, images = study.model.model, study.images
    chosen = np.sort(images.spread_order()[:IMAGES])
    groups = image_groups(study.maps)
    units = Units.of(None if groups is None else groups[chosen], len(chosen))
    pictures = images.take(chosen).tensor()
    twins = [] if architecture_of(model) is None else twin_seeds(study.model.sha256, study.seed)
    device = next(iter(model.parameters()), torch.empty(0)).device
    drawn = (random_twin(model.config, seed).to(device) for seed in twins)
    own = model_evidence(model, pictures, study.seed)
    others = [
        model_evidence(twin, pictures, study.seed, sizes=TWIN_SIZES if number < PASS_TWINS else ())
        for number, twin in enumerate(drawn)
    ]
    return Gathered(own, tuple(others), units)


def twin_seeds(sha256: str, seed: int) -> list[int]:
    """Seeds of the twins, which the hash of the subject's weights and the run's seed decide."""
    return np.random.SeedSequence([seed, int(sha256[:16], 16)]).generate_state(TWINS).tolist()


def model_evidence(
    model: nn.Module, pictures: torch.Tensor, seed: int, *, sizes: tuple[int, ...] = SIZES
) -> Evidence:
    """One model on the subject's pictures (I, C, H, W) and on generated noise of a seed.

    Args:
        sizes: of the passes in pixels; none for no passes. Sizes that are no multiples of the patch size, or
            smaller, are left out; so are the passes where the trained one is.
    """
    channels, patch = getattr(model, "channels", 3), model.patch_size
    usual = TRAINED if TRAINED % patch == 0 else 16 * patch
    sizes = tuple(size for size in sizes if size % patch == 0)
    fit = {TRAINED, WHOLE} <= {*sizes}
    return Evidence(
        rows_of(model, pictures, seed),
        rows_of(model, trained_noise(usual, seed, channels), seed, decoded=True),
        rows_of(model, unseen_noise(usual, seed, channels), seed, decoded=True),
        passes_of(model, white_images(max(sizes), seed, channels), sizes) if fit else None,
    )


def trained_noise(size: int, seed: int, channels: int) -> torch.Tensor:
    """(32, channels, size, size): two images of each family of the public trainer, one after the other."""
    g = torch.Generator().manual_seed(seed)
    return torch.cat([sample(family, A_FAMILY, size, g, channels) for family in FAMILIES])


def unseen_noise(size: int, seed: int, channels: int) -> torch.Tensor:
    """(32, channels, size, size): two images of each other family."""
    g = torch.Generator().manual_seed(seed + 1)
    return torch.cat([sample_unseen(family, A_FAMILY, size, g, channels) for family in UNSEEN_FAMILIES])
