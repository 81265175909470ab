"""Images in a model's number of channels: three become one by luma, one becomes three by repetition."""

from __future__ import annotations

import torch

from ..io.errors import InputError
from .luma import LUMA

# (channels given, channels wanted) -> what is done, as a preprocessing text says it.
STEPS = {(3, 1): "luma", (1, 3): "repeat3"}


def fits(given: int, wanted: int) -> bool:
    """Whether images of ``given`` channels can be shown to a model of ``wanted`` channels."""
    return given == wanted or (given, wanted) in STEPS


def check_channels(given: int, wanted: int, name: str) -> None:
    """Raise ``InputError`` for a set of images whose channels are not, and do not become, the model's."""
    if not fits(given, wanted):
        raise InputError(f"{name}: the images have {count(given)}; {taken(wanted)}")


def taken(wanted: int) -> str:
    """What a model of so many channels takes and where it comes from, for messages."""
    how = {1: "give 1, or 3, whose luma is taken", 3: "give 3, or 1, which is repeated"}
    other = f"give an .npz with images uint8 (N, H, W, {wanted}), or --dataset noise"
    return f"the model takes {count(wanted)}: {how.get(wanted, other)}"


def count(channels: int) -> str:
    """``1 channel``, ``3 channels``."""
    return f"{channels} channel{'' if channels == 1 else 's'}"


def in_channels(images: torch.Tensor, wanted: int) -> torch.Tensor:
    """Images (B, C, H, W) float32 in [0, 1] as (B, wanted, H, W); a pair that ``fits``."""
    if images.shape[1] == wanted:
        return images
    if wanted == 1:
        # In float64, so that three equal channels give exactly their value.
        red, green, blue = images.double().unbind(1)
        return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).float().unsqueeze(1)
    return images.repeat(1, wanted, 1, 1)
