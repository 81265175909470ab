"""Preprocessing of 8-bit images, bit for bit what torchvision's transforms give on PIL images."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from ..io.errors import InputError, whole
from .luma import LUMA

# (channels given, channels wanted) -> what is done, as a preprocessing text says it.
STEPS = {(3, 1): "luma", (1, 3): "repeat3"}
PRECISION = 22  # bits after the point of Pillow's weights
LARGEST_SIDE = 4096  # of a preprocessed image; beyond it a typing error is likelier than a wish

# Bounds on an image before preprocessing, so that none can exhaust the memory.
SMALLEST_PICTURE = 4  # pixels a side: no published model has a smaller patch
LARGEST_PICTURE = 32 << 20  # pixels in all
LONGEST_PICTURE = 32  # longer side over shorter: resizing the shorter side enlarges the longer one too


@dataclass(frozen=True)
class Normalize:
    """Standardisation ``(x - mean) / std`` after the scaling to [0, 1]: a value a channel, or one for all."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __str__(self) -> str:
        mean, std = (",".join(f"{value:g}" for value in part) for part in (self.mean, self.std))
        return f"{mean}/{std}"


IMAGENET = Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def parse_normalize(text: str | Normalize | None, channels: int = 3) -> Normalize | None:
    """Read ``none``, ``imagenet`` or ``MEAN/STD`` such as ``0.48,0.44,0.39/0.27,0.26,0.28``.

    Of mean and of std there is one value for all of the ``channels``, or one for each.

    Raises:
        InputError: anything else, ``imagenet`` for other than 3 channels, numbers that are not finite or a
            standard deviation not above 0.
    """
    if text is None or (isinstance(text, str) and text.strip().lower() == "none"):
        return None
    found = IMAGENET if str(text).strip().lower() == "imagenet" else text
    try:
        if isinstance(found, str):
            found = Normalize(*(tuple(map(float, part.split(","))) for part in found.split("/")))
        right = all(len(part) in (1, channels) for part in (found.mean, found.std))
        right = right and bool(np.isfinite([*found.mean, *found.std]).all()) and min(found.std) > 0
    except (TypeError, ValueError):
        right = False
    if not right:
        names = "none, imagenet" if channels == 3 else "none"
        raise InputError(
            f"normalize is {str(text)!r} for images of {count(channels)}; expected {names} or MEAN/STD, one "
            "number each or one a channel, STD above 0, such as 0.5/0.25"
        )
    return found


def check_picture(width: int, height: int, what: str) -> None:
    """Raise ``InputError`` for an image too small, too large or too long to be preprocessed."""
    short, long = sorted((width, height))
    if short < SMALLEST_PICTURE or short * long > LARGEST_PICTURE or long > LONGEST_PICTURE * short:
        raise InputError(
            f"{what} is {width}x{height} pixels; expected at least {SMALLEST_PICTURE} pixels a side, at most "
            f"{LARGEST_PICTURE >> 20} megapixels, and sides of at most {LONGEST_PICTURE} to 1"
        )


def check_channels(given: int, wanted: int, name: str) -> None:
    """Raise ``InputError`` for a set of images whose channels are not, and do not become, the model's."""
    if given != wanted and (given, wanted) not in STEPS:
        how = {1: "give 1, or 3, whose luma is taken", 3: "give 3, or 1, which is repeated"}
        other = f"give an .npz with images uint8 (N, H, W, {wanted}), or --dataset noise"
        wants = f"the model takes {count(wanted)}: {how.get(wanted, other)}"
        raise InputError(f"{name}: the images have {count(given)}; {wants}")


def count(channels: int) -> str:
    """``1 channel``, ``3 channels``."""
    return f"{channels} channel{'' if channels == 1 else 's'}"


def moved(batch: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A batch on a device, to which the copy is under way."""
    if device.type != "cuda" or batch.is_cuda:
        return batch.to(device)
    return batch.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Transform:
    """Resize of the shorter side, optional centre crop, scaling to [0, 1], channels, normalisation."""

    image_size: int | None  # pixels of the shorter side after resizing; None keeps the size
    crop: bool = False  # cut the central square of image_size out afterwards
    normalize: Normalize | None = None
    channels: int | None = 3  # after the transform; None for as many as the image has

    def __post_init__(self) -> None:
        if self.image_size is not None:
            whole(self.image_size, "image size", 1, LARGEST_SIDE)

    def describe(self, given: int = 3) -> str:
        """A canonical text of all that changes the result for so many channels; part of a cache key."""
        parts = [] if self.image_size is None else [f"resize{self.image_size}"]
        parts += [f"centercrop{self.image_size}"] if self.crop else []
        parts += ["totensor"]
        parts += [STEPS[given, self.channels]] if (given, self.channels) in STEPS else []
        parts += [f"normalize({self.normalize})"] if self.normalize else []
        return "+".join(parts)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after the transform of an image of this height and width."""
        return (self.image_size, self.image_size) if self.crop else self._resized(height, width)

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        size = self.image_size
        if size is None:
            return height, width
        # torchvision truncates the longer side; an image that fits already is left as it is.
        return (size, int(size * width / height)) if height <= width else (int(size * height / width), size)

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Resize and crop one image; (H, W, 3) uint8 of RGB, (H, W) of grey."""
        height, width = self._resized(image.height, image.width)
        if (height, width) != (image.height, image.width):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        if self.crop:
            top, left = (round((side - self.image_size) / 2.0) for side in (height, width))
            image = image.crop((left, top, left + self.image_size, top + self.image_size))
        return np.asarray(image)

    def batch(self, images: Iterable[Image.Image]) -> torch.Tensor:
        """Preprocess RGB images that end up equally large; (B, channels, H, W) float32."""
        return self.to_tensor(np.stack([self.pixels(image) for image in images]))

    def array(self, image: np.ndarray) -> np.ndarray:
        """Resize and crop one image (H, W, C) uint8 of any number of channels, each for itself."""
        if image.shape[2] == 3:
            return self.pixels(Image.fromarray(image))
        # Not as RGBA or LA, where Pillow would weigh the colours by the last channel.
        bands = [np.ascontiguousarray(image[..., c]) for c in range(image.shape[2])]
        return np.stack([self.pixels(Image.fromarray(band)) for band in bands], axis=-1)

    def of_one_size(self, images: np.ndarray, device: torch.device) -> torch.Tensor:
        """(B, H, W, C) uint8 to (B, channels, H, W) float32 on a device, where they are also resized.

        The same bits as :meth:`array` and :meth:`to_tensor` give.
        """
        order = _order(self, images.shape[1:])
        if order is None:
            return self.to_tensor(np.stack([self.array(image) for image in images])).to(device)
        pixels = moved(torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2))), device)
        return self._scaled(self._by_products(pixels, order))

    def _by_products(self, pixels: torch.Tensor, order: Iterable[int]) -> torch.Tensor:
        """Resize, one side after the other, and crop (B, C, H, W) bytes; with Pillow's bytes in float64."""
        sides = self._resized(*pixels.shape[2:])
        for side in order:
            if pixels.shape[side] != sides[side - 2]:
                weights = torch.from_numpy(_weights(pixels.shape[side], sides[side - 2])).to(pixels.device)
                sums = torch.tensordot(pixels.double(), weights, ([side], [1])).movedim(3, side)
                pixels = sums.add_(2.0 ** (PRECISION - 1)).div_(2.0**PRECISION).floor_().clamp_(0, 255)
        if self.crop:
            top, left = (round((side - self.image_size) / 2.0) for side in sides)
            pixels = pixels[:, :, top : top + self.image_size, left : left + self.image_size]
        return pixels

    def to_tensor(self, pixels: np.ndarray) -> torch.Tensor:
        """(B, H, W, C) uint8 to (B, channels, H, W) float32 in [0, 1], then normalised if asked for."""
        return self._scaled(torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))))

    def _scaled(self, pixels: torch.Tensor) -> torch.Tensor:
        tensor = pixels.float().div_(255)
        step = STEPS.get((tensor.shape[1], self.channels))
        if step == "luma":  # in float64, so that three equal channels give exactly their value
            red, green, blue = tensor.double().unbind(1)
            tensor = (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).float().unsqueeze(1)
        elif step == "repeat3":
            tensor = tensor.repeat(1, 3, 1, 1)
        if self.normalize is not None:
            tensor.sub_(torch.tensor(self.normalize.mean, device=tensor.device).view(-1, 1, 1))
            tensor.div_(torch.tensor(self.normalize.std, device=tensor.device).view(-1, 1, 1))
        return tensor


@functools.cache
def _order(transform: Transform, shape: tuple[int, int, int]) -> tuple[int, int] | None:
    """Which side of images (H, W, C) Pillow resizes first, 2 or 3, and then; None if it does something else.

    That differs between its versions and between sizes, so it is tried on noise.
    """
    count = max(1, min(64, 2**20 // math.prod(shape)))  # small ones can be alike by chance
    noise = np.random.default_rng(0).integers(0, 256, (count, *shape), np.uint8)
    expected = np.stack([transform.array(image) for image in noise]).transpose(0, 3, 1, 2)
    pixels = torch.from_numpy(np.ascontiguousarray(noise.transpose(0, 3, 1, 2)))
    orders = ((3, 2), (2, 3))
    return next((o for o in orders if np.array_equal(transform._by_products(pixels, o), expected)), None)


@functools.cache
def _weights(given: int, wanted: int) -> np.ndarray:
    """Pillow's bilinear weights of one side, (wanted, given) float64 whole numbers of 2^-22.

    A triangle, as wide as an output pixel where that is the wider one, normalised, then rounded (Pillow's
    ``precompute_coeffs`` and ``normalize_coeffs_8bpc`` in src/libImaging/Resample.c). Sums of products with
    bytes are whole numbers below 2^53, so float64 gives them exactly, in whatever order.
    """
    scale = given / wanted
    support = max(scale, 1.0)
    center = (np.arange(wanted) + 0.5) * scale
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    end = np.minimum((center + support + 0.5).astype(np.int64), given)
    place = np.arange(given)
    inside = (place >= first[:, None]) & (place < end[:, None])
    distance = np.abs((place - center[:, None] + 0.5) * (1.0 / support))
    weights = np.where(inside & (distance < 1), 1 - distance, 0.0)
    total = np.zeros(wanted)
    for column in weights.T:  # in Pillow's order
        total += column
    return np.floor(weights / total[:, None] * 2.0**PRECISION + 0.5)
