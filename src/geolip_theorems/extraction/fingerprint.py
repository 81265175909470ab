"""What a model does to a few images, as a hash: what no name, config or state dict of a model need tell.

A module without parameters, a changed activation, a replaced ``forward`` or a constant in a closure leave
the weights as they are. What they give for the same images differs, so the cache's key has that as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..data.imageset import ImageSet
from ..model.sources import tensors_sha256
from .signals import read_output
from .tiles import TileRunner

PIXELS = 8192  # of all images together, while they are more than the fewest
FEWEST, MOST = 2, 8  # images; the last is noise


def probe_images(images: ImageSet) -> Tensor:
    """The images a fingerprint is taken of: (B, C, H, W) float32, B from 2 to 8.

    The set's first, and one of uniform noise on [0, 1) from a fixed seed: models that differ can agree on
    blank images, and a set may begin with those.
    """
    height, width = images.image_size
    first = images.tensor(0, min(MOST, max(FEWEST, PIXELS // (height * width))) - 1)
    noise = torch.rand(first[:1].shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([first, noise])


@torch.inference_mode()
def fingerprint(runner: TileRunner, images: Tensor) -> str:
    """Hex SHA-256 of everything a model gives for some images.

    Args:
        runner: of the model; its decoder, where it has one, is given a mixture of the modes.
        images: (B, C, H, W) float32 on the CPU.

    The same for any number of processes, and of threads if the caller keeps to one, as the extraction does.
    A model that does not repeat itself never has the same one twice, so its maps are never taken for
    another run's.
    """

    def run(part: Tensor, piece: slice) -> dict[str, Tensor]:
        recon, svd = read_output(runner.forward(part))
        out = {"recon": recon, "svd": svd}
        if runner.decoder is not None and svd is not None:
            modes = 1 / torch.arange(1, svd["S"].shape[-1] + 1, device=part.device)
            out["mixed"] = runner.decoder(svd, modes)
        return _named(out, f"{piece.start}")

    found = runner.passes(images, run)
    return tensors_sha256({name: value for part in found for name, value in part.items()})


def _named(found: Any, name: str) -> dict[str, Tensor]:
    """The arrays of an output by their place in it; whatever else is there is left to the extraction."""
    if isinstance(found, Mapping):
        return {k: v for key in found for k, v in _named(found[key], f"{name}.{key}").items()}
    return {name: found} if isinstance(found, Tensor) else {}
