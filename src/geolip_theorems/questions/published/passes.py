"""A model on images of other sizes: the same pixels alone, as part of a large image, and in tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ...data.noise import sample
from ...model.architectures import extract_patches, stitch_patches
from .rows import Run, device_of, runner

SIZES, TRAINED, WHOLE = (32, 64, 128, 256), 64, 128  # pixels
# The trained families whose pixels have one law wherever they are.
WHITE = ("gaussian", "uniform", "poisson", "mixture", "exponential", "laplace")


@dataclass(frozen=True)
class Passes:
    """Of I images.

    Attributes:
        error: by size (I,), mean squared error of the central pixels of the smallest size; of the largest
            perhaps fewer, the first images'.
        tiled: (I,) mean abs difference of S between 4 tiles of 64 pixels and the image of 128, or None.
        scale: (I,) mean S of that image, or None.
    """

    error: dict[int, np.ndarray]
    tiled: np.ndarray | None
    scale: np.ndarray | None

    def change(self, size: int) -> np.ndarray:
        """Relative change of each image's error at a size, against that at the trained one."""
        found = self.error[size]
        return found / self.error[TRAINED][: len(found)] - 1


def family_images(families: Iterable[str], size: int, seed: int, channels: int, each: int = 1) -> Tensor:
    """(F each, channels, size, size): noise of families, one after the other."""
    generator = torch.Generator().manual_seed(seed)
    return torch.cat([sample(family, each, size, generator, channels) for family in families])


@torch.inference_mode()
def passes_of(
    model: nn.Module, images: Tensor, sizes: tuple[int, ...] = SIZES, few: int | None = None
) -> Passes:
    """Errors of the same central pixels, given as images of several sizes, and S of one of them in tiles.

    Args:
        images: (I, C, size, size) of the largest size.
        sizes: multiples of the patch size, ascending, 64 among them; without 128 nothing is tiled.
        few: images of the largest size; None for all.

    Cost: quadratic in the patches of an image: 0.4 s per image of 256 pixels for Freckles, 3 s for 512.
    """
    run, patch = runner(model), model.patch_size
    error: dict[int, list[float]] = {size: [] for size in sizes}
    tiles = []
    for number, image in enumerate(images.to(device_of(model)).split(1)):
        for size in sizes if few is None or number < few else sizes[:-1]:
            part = _centre(image, size)
            recon, svd = run(part, True)
            squared = (_centre(recon, sizes[0]) - _centre(image, sizes[0])) ** 2
            error[size].append(float(squared.double().mean()))
            if svd is not None and size == WHOLE:
                whole = svd["S"].double()
                moved = (_tiled_spectrum(run, patch, part) - whole).abs().mean()
                tiles.append((float(moved), float(whole.mean())))
    tiled, scale = np.array(tiles).T if len(tiles) == len(images) else (None, None)
    return Passes({size: np.array(found) for size, found in error.items()}, tiled, scale)


def _centre(image: Tensor, size: int) -> Tensor:
    start = (image.shape[-1] - size) // 2
    return image[..., start : start + size, start : start + size]


def _tiled_spectrum(run: Run, patch: int, image: Tensor) -> Tensor:
    """S (1, N, D) of an image's patches, each tile of 64 pixels an image of its own."""
    count = image.shape[-1] // TRAINED
    tiles = extract_patches(image, TRAINED).unflatten(-1, (image.shape[1], TRAINED, TRAINED))[0]
    S = run(tiles, False)[1]["S"].double()
    side = TRAINED // patch
    maps = S.unflatten(1, (side, side)).permute(0, 3, 1, 2).flatten(1)[None]
    return stitch_patches(maps, (count, count), side).flatten(2).mT
