"""The 16 noise families as an image set of 16 classes."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch

from ..imageset import ImageSet
from ..noise import FAMILIES, sample
from ..stores import GeneratedStore
from . import Asked

VERSION = 1  # raise it when the images change
A_FAMILY = 10  # images of a family in a block
DEFAULT_IMAGES = 50 * len(FAMILIES)


def _generate(block: int, seed: int, size: int, channels: int) -> tuple[torch.Tensor, None]:
    """Images block * 160 to block * 160 + 159, the families in turn; (160, channels, size, size) float32."""
    images = torch.empty(A_FAMILY, len(FAMILIES), channels, size, size)
    for number, family in enumerate(FAMILIES):
        words = np.random.SeedSequence([seed, number, block]).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(words[0]))
        images[:, number] = sample(family, A_FAMILY, size, generator, channels)
    return images.flatten(0, 1), None


def open_images(asked: Asked) -> ImageSet:
    """The first images of a seed, the families in turn, unscaled in [-4, 4] and never normalised.

    They are made in the number of channels asked for: no luma of others, no repetition.
    """
    asked.check_generated("noise")
    image_size, channels = asked.transform.image_size, asked.transform.channels
    n, seed = asked.count or DEFAULT_IMAGES, asked.seed
    recipe, preprocessing = f"noise {VERSION} seed {seed} size {image_size}", f"generated{image_size}"
    if channels != 3:
        recipe, preprocessing = f"{recipe} channels {channels}", f"{preprocessing}x{channels}"
    generate = partial(_generate, seed=seed, size=image_size, channels=channels)
    size, block = (image_size, image_size), A_FAMILY * len(FAMILIES)
    store = GeneratedStore(generate, block, n, size, recipe, channels=channels)
    source = f"{n:,} generated images of {len(FAMILIES)} noise families, seed {seed}"
    labels = np.arange(n, dtype=np.int64) % len(FAMILIES)
    return ImageSet("noise", source, store, preprocessing, labels, FAMILIES)
