"""Everything the published claims need of a subject and of its twins, each model run once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ...data.noise import FAMILIES, UNSEEN_FAMILIES
from ...model.architectures import architecture_of
from ...model.sources import random_twin
from ...model.threads import ieee_float32, thread_pool
from ...stats.units import Units
from ..study import Study
from .passes import SIZES, TRAINED, WHITE, WHOLE, Passes, family_images, passes_of
from .rows import Rows, device_of, rows_of

IMAGES, A_FAMILY = 32, 2  # of the subject's own; of each of the noise families
TWINS, PASS_TWINS = 6, 3  # all of them on images as large as the trained ones, some on other sizes
FEW = 2  # images of the largest size for these: one costs as much as of all other sizes together


@dataclass(frozen=True)
class Shown:
    """What every model is shown, (I, C, H, W) each: its own images, the trained families', the others', and
    white ones of the largest of ``sizes``, pixels, for the passes; no sizes, no passes.
    """

    images: torch.Tensor
    noise: torch.Tensor
    unseen: torch.Tensor
    white: torch.Tensor
    sizes: tuple[int, ...]


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

    @property
    def passes(self) -> tuple[Passes | None, list[Passes]]:
        """The subject's, and those of the twins that have them."""
        return self.own.passes, [twin.passes for twin in self.twins if twin.passes]


def gathered(study: Study) -> Gathered:
    """What is measured once and for all claims of a study.

    Cost: the embedded model and its twins 20 s of processor time, a model a thread.
    """
    if "published" in study.memo:
        return study.memo["published"]
    model, images = study.model.model, study.images
    chosen = np.sort(images.spread_order()[:IMAGES])
    shown = shown_to(model, images.take(chosen).tensor(), study.seed)
    device = device_of(model)
    seeds = [] if architecture_of(model) is None else twin_seeds(study.model.sha256, study.seed)
    twins = [random_twin(model.config, seed).to(device) for seed in seeds]
    largest = (len(shown.white), *[FEW] * PASS_TWINS, *[0] * len(twins))
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    with ieee_float32(), thread_pool(threads) as pool:  # of torch's own, each waits for the others
        own, *others = pool.map(
            lambda one, few: model_evidence(one, shown, study.seed, few), (model, *twins), largest
        )
    study.memo["published"] = Gathered(own, tuple(others), study.units.take(chosen))
    return study.memo["published"]


def twin_seeds(sha256: str, seed: int) -> list[int]:
    """Seeds of the twins, which the hash of the subject's weights and the run's seed decide."""
    return np.random.SeedSequence([seed, int(sha256[:16], 16)]).generate_state(TWINS).tolist()


def shown_to(model: nn.Module, images: torch.Tensor, seed: int) -> Shown:
    """A subject's images (I, C, H, W), and generated noise of a seed in sizes that fit its patches."""
    channels, patch = getattr(model, "channels", 3), model.patch_size
    usual = TRAINED if TRAINED % patch == 0 else 16 * patch
    noise = family_images(FAMILIES, usual, seed, channels, A_FAMILY)
    unseen = family_images(UNSEEN_FAMILIES, usual, seed + 1, channels, A_FAMILY)
    sizes = tuple(size for size in SIZES if size % patch == 0)
    if not {TRAINED, WHOLE} <= {*sizes}:
        sizes = ()
    white = family_images(WHITE, max(sizes, default=TRAINED), seed, channels)
    return Shown(images, noise, unseen, white, sizes)


def model_evidence(model: nn.Module, shown: Shown, seed: int, few: int) -> Evidence:
    """One model on what it is shown; ``seed`` of the simplices, ``few`` images of the largest size."""
    return Evidence(
        rows_of(model, shown.images, seed),
        rows_of(model, shown.noise, seed, decoded=True),
        rows_of(model, shown.unseen, seed, decoded=True),
        passes_of(model, shown.white, shown.sizes, few) if few and shown.sizes else None,
    )
