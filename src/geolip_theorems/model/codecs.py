"""Simple lossy codecs as models: what any reconstructor does, beside what a trained one does.

``codec:NAME``, ``codec:NAME:OPTION=VALUE``, more options after commas: ``codec:pca:d=4,patch_size=8``. Or
``mse=0.002`` in place of its own option: the one whose mean squared error on the reference images is nearest.
These are generated, from a seed that no run can have. A codec takes 1 or 3 channels.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..data.sources import load_images
from ..io.errors import InputError, printable, unknown
from .architectures import extract_patches, grid_shape, stitch_patches
from .known import CODECS, PREFIX, check_codec
from .threads import one_thread

PATCH_SIZE, LARGEST_PATCH = 4, 16
CHANNELS = (1, 3)
REFERENCE_SEED = 2**32  # a run's seed is smaller
REFERENCE_IMAGES, REFERENCE_SIZE = 200, 64
BISECTIONS = 20
NUMBER = r"(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
ROUNDING = 1e-12  # a mean error below is no loss at all
Principal = Callable[[], tuple[Tensor, Tensor]]  # gives the principal components of the images to fit on


@dataclass(frozen=True)
class CodecConfig:
    """What a codec is; ``value`` is its own option's, set, or found for the ``mse`` that was asked for."""

    codec: str
    option: str
    value: float
    patch_size: int = PATCH_SIZE
    channels: int = 3
    mse: float | None = None
    mse_reached: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The entries that are set, the codec's own option under its name."""
        entries = {"codec": self.codec, self.option: self.value}
        entries |= {"patch_size": self.patch_size, "channels": self.channels}
        return entries | ({"mse": self.mse, "mse_reached": self.mse_reached} if self.mse else {})

    @property
    def text(self) -> str:
        """The shortest way to write it after ``--model``."""
        how = f"{self.option}={self.value:g}" if self.mse is None else f"mse={self.mse:g}"
        how += f",patch_size={self.patch_size}" if self.patch_size != PATCH_SIZE else ""
        how += f",channels={self.channels}" if self.channels != 3 else ""
        return f"{PREFIX}{self.codec}:{how}"


class Codec(nn.Module):
    """A model from images (B, C, H, W) float32 to ``{"recon": (B, C, H, W)}``; ``svd`` where it has one."""

    def __init__(self, config: CodecConfig, principal: Principal) -> None:
        super().__init__()
        self.config = config
        self.patch_size = config.patch_size
        self.channels = config.channels


class Jpeg(Codec):
    """Pillow's JPEG at quality q, 4:4:4, 8 bits of [0, 1] or of an image's own range where that is wider.

    There is no ``svd``: the code is of blocks of 8 pixels in luma and chroma, and knows no patches.
    """

    def forward(self, images: Tensor) -> dict[str, Any]:
        low = images.amin((1, 2, 3), keepdim=True).clamp(max=0)
        range_ = images.amax((1, 2, 3), keepdim=True).clamp(min=1) - low
        pixels = ((images - low) / range_ * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        coded = torch.from_numpy(np.stack([self._coded(image) for image in pixels]))
        return {"recon": coded.permute(0, 3, 1, 2).to(images.device) / 255 * range_ + low}

    def _coded(self, pixels: np.ndarray) -> np.ndarray:
        """(H, W, C) uint8 there and back."""
        file = io.BytesIO()
        image = Image.fromarray(pixels.squeeze(2) if pixels.shape[2] == 1 else pixels)
        image.save(file, "JPEG", quality=int(self.config.value), subsampling=0)
        return np.asarray(Image.open(file)).reshape(pixels.shape)


class Blur(Codec):
    """A Gaussian blur of sigma pixels, cut at 4 sigma, the border repeated. There is no ``svd``: no code."""

    def __init__(self, config: CodecConfig, principal: Principal) -> None:
        super().__init__(config, principal)
        radius = int(4 * config.value + 0.5)
        weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / config.value) ** 2)
        self.register_buffer("kernel", torch.from_numpy(weights / weights.sum()))

    def forward(self, images: Tensor) -> dict[str, Any]:
        rows, columns = (self._matrix(side).to(images.dtype) for side in images.shape[-2:])
        return {"recon": rows @ images @ columns.mT}

    def _matrix(self, side: int) -> Tensor:
        """(side, side) float64, the blur of a column of pixels."""
        radius = len(self.kernel) // 2
        at = torch.arange(side, device=self.kernel.device)
        taken = (at[:, None] + torch.arange(-radius, radius + 1, device=at.device)).clamp(0, side - 1)
        empty = self.kernel.new_zeros(side, side)
        return empty.scatter_add(1, taken, self.kernel.expand(side, -1))


class Pca(Codec):
    """The projection of each patch on the first d principal components of the reference images' patches.

    A patch's matrix (V, D) has a column a component, its coefficient c_k times the component: V = C*ps*ps, D
    = d. Hence ``svd``: U (B, N, V, D) the components, S (B, N, D) the columns' norms |c_k| in the components'
    order, unsorted, and Vt (B, N, D, D) diagonal with the signs.
    """

    spectrum = "column norms"

    def __init__(self, config: CodecConfig, principal: Principal) -> None:
        super().__init__(config, principal)
        mean, components = principal()
        self.register_buffer("mean", mean.float())
        self.register_buffer("components", components[: int(config.value)].float().contiguous())

    def forward(self, images: Tensor) -> dict[str, Any]:
        code = (extract_patches(images, self.patch_size) - self.mean) @ self.components.mT
        grid = grid_shape(*images.shape[-2:], self.patch_size)
        recon = stitch_patches(self.mean + code @ self.components, grid, self.patch_size)
        signs = torch.where(code < 0, -1.0, 1.0).to(code.dtype)
        U = self.components.mT.expand(*code.shape[:2], -1, -1)
        return {"recon": recon, "svd": {"U": U, "S": code.abs(), "Vt": torch.diag_embed(signs)}}

    def decode_patches(self, U: Tensor, S: Tensor, Vt: Tensor) -> Tensor:
        """Patches (B, N, C*ps*ps) of U, S, Vt: the mean and the sum of the columns."""
        return self.mean + (U @ (S * Vt.sum(-1)).unsqueeze(-1)).squeeze(-1)


CLASSES: dict[str, Callable[[CodecConfig, Principal], Codec]] = {"pca": Pca, "jpeg": Jpeg, "blur": Blur}


def principal_components(images: Tensor, patch_size: int) -> tuple[Tensor, Tensor]:
    """Mean (V,) and principal components (V, V), largest first, of images' patches, in float64."""
    values = extract_patches(images, patch_size).flatten(0, -2).double()
    mean = values.mean(0)
    centred = values - mean
    components = torch.linalg.eigh(centred.mT @ centred).eigenvectors.flip(-1).mT
    largest = components.gather(1, components.abs().argmax(1, keepdim=True))
    return mean, components * largest.sign()


def open_codec(text: str) -> Codec:
    """The codec that a text after ``--model`` names. Raises InputError, see :func:`make_codec`."""
    name, colon, rest = text.removeprefix(PREFIX).partition(":")
    check_codec(name)
    shown, own = printable(text, 100), CODECS[name].option
    given: dict[str, float] = {}
    for part in rest.split(",") if colon else []:
        key, sign, value = part.partition("=")
        if not sign or not re.fullmatch(NUMBER, value, re.ASCII):
            raise InputError(
                f"model {shown!r}: {printable(part, 40)!r} is not an option; expected OPTION=NUMBER, as in "
                f"{PREFIX}{name}:{own}={CODECS[name].default:g}"
            )
        if key not in (own, "mse", "patch_size", "channels"):
            raise unknown(f"option of {PREFIX}{name}", key, (own, "mse", "patch_size", "channels"))
        if key in given:
            raise InputError(f"model {shown!r}: {key} is given twice; give it once")
        given[key] = float(value)
    if own in given and "mse" in given:
        raise InputError(f"model {shown!r}: give either {own} or mse, not both")
    return make_codec(name, given.pop(own, None), **given)


def make_codec(
    name: str,
    value: float | None = None,
    *,
    mse: float | None = None,
    patch_size: int = PATCH_SIZE,
    channels: int = 3,
    images: Tensor | None = None,
) -> Codec:
    """A codec in evaluation mode.

    Args:
        value: of its own option; None for the default, or for what ``mse`` asks.
        mse: the mean squared error to come near, per value, on every second of ``images``.
        images: (N, C, H, W) float32, at least 2, for a reference of one's own; None for the module's.

    Raises:
        InputError: an unknown codec, a value out of range, or an error that the codec cannot have.
    """
    check_codec(name)
    entry, about = CODECS[name], PREFIX + name
    patch_size = int(_checked(about, "patch_size", patch_size, (1, LARGEST_PATCH), True))
    if channels not in CHANNELS:
        raise InputError(f"{about}: channels={channels:g}; expected 1 or 3")
    channels = int(channels)
    ends = entry.range[0], entry.range[1] or channels * patch_size**2
    images = reference_images(channels) if images is None else images
    principal = lru_cache(lambda: principal_components(images[::2], patch_size))

    def build(value: float, *errors: float) -> Codec:
        number = int(value) if entry.whole else float(value)
        config = CodecConfig(name, entry.option, number, patch_size, channels, *errors)
        with one_thread():
            return CLASSES[name](config, principal).eval()

    if mse is None:
        value = min(entry.default, ends[1]) if value is None else value
        return build(_checked(about, entry.option, value, ends, entry.whole))
    # Bisection to the value whose error is nearest, as a ratio.
    error = lru_cache(lambda value: max(mean_error(build(value), images[1::2]), ROUNDING))
    fine, coarse = sorted(ends, key=error)
    if not error(fine) <= mse <= error(coarse):
        raise InputError(
            f"{about}: mse={mse:g}; on its reference images it can have {error(fine):.2g} "
            f"({entry.option}={fine:g}) to {error(coarse):.2g} ({entry.option}={coarse:g})"
        )
    for _ in range(BISECTIONS):
        middle = (fine + coarse) // 2 if entry.whole else math.sqrt(fine * coarse)
        if middle in (fine, coarse):
            break  # neighbours, among whole numbers
        fine, coarse = (middle, coarse) if error(middle) <= mse else (fine, middle)
    value = min((fine, coarse), key=lambda value: abs(math.log(error(value) / mse)))
    return build(value, mse, error(value))


@lru_cache
def reference_images(channels: int) -> Tensor:
    """(200, C, 64, 64) float32 in [0, 1], scenes that no run measures; one channel is the luma of three."""
    how = {"image_size": REFERENCE_SIZE, "max_images": REFERENCE_IMAGES, "seed": REFERENCE_SEED}
    return load_images("scenes", channels=channels, **how).tensor()


@torch.inference_mode()
def mean_error(codec: Codec, images: Tensor) -> float:
    """The mean squared error per value of what a codec makes of images (N, C, H, W)."""
    with one_thread():
        parts = [(codec(part)["recon"] - part).double().square().sum() for part in images.split(8)]
    return float(sum(parts) / images.numel())


def _checked(about: str, option: str, value: float, ends: tuple[float, float], whole: bool) -> float:
    if not ends[0] <= value <= ends[1] or (whole and value != int(value)):
        kind = "a whole number from" if whole else "a number from"
        raise InputError(f"{about}: {option}={value:g}; expected {kind} {ends[0]:g} to {ends[1]:g}")
    return value
