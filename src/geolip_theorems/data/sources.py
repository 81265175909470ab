"""``--dataset``: the image sources by name, and how a name, a folder or a file becomes an ImageSet."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ..io.errors import InputError, printable, unknown
from .bundled import digits, photos
from .channels import check_channels
from .cifar import CifarUnavailableError, cifar10
from .folder import load_folder
from .imageset import ImageSet
from .noises import DEFAULT_IMAGES as DEFAULT_NOISES
from .noises import noise
from .npz import load_npz
from .scenes import DEFAULT_IMAGES as DEFAULT_SCENES
from .scenes import scenes
from .transforms import Normalize, Transform, check_image_size, parse_normalize

AUTO_SECONDS = 8.0  # how long `auto` tries to fetch CIFAR-10 before it takes the digits
LARGEST_SEED = 2**63
SMALLEST_GENERATED = 16  # pixels a side; smaller, the shapes cannot be told apart

DESCRIPTIONS = {
    "auto": "cifar10 if it is cached or fetched within a few seconds, else digits",
    "cifar10": "the 10,000 CIFAR-10 test images, 10 classes; cached or downloaded",
    "digits": "1,797 handwritten digits of scikit-learn, 10 classes; always there",
    "photos": "1,200 32x32 crops of 10 photographs: colour texture without class layout; always there",
    "scenes": "2,000 generated images (or --max-images) of 10 shapes with true boundaries, from the seed",
    "noise": "800 generated images (or --max-images) of 16 noise families, from the seed, unscaled",
}


def names() -> dict[str, str]:
    """The data sets known by name, each with a line about it."""
    return dict(DESCRIPTIONS)


def load_images(
    spec: str,
    *,
    image_size: int = 64,
    max_images: int | None = None,
    data_root: str | Path | None = None,
    offline: bool = False,
    seed: int = 0,
    normalize: str | Normalize | None = "none",
    channels: int = 3,
) -> ImageSet:
    """Images of a named set, a folder or an ``.npz`` file; pixels are read later, batch by batch.

    A named set is never replaced by another; only ``auto`` chooses, and says so in ``substitute_for``.

    Args:
        spec: one of ``names()``, the path of a folder (ImageFolder layout) or of an ``.npz`` file.
        image_size: pixels of the shorter side after resizing; generated sets are made at this size.
        max_images: only the first so many; of generated sets exactly so many, also more than by default.
        data_root: where CIFAR-10 is kept; the user's cache by default.
        offline: never use the network.
        seed: of the generated sets.
        normalize: ``none``, ``imagenet`` or ``MEAN/STD``; the noise stays unscaled whatever it says.
        channels: the model's. Three become one by luma (ITU-R BT.601) of the values in [0, 1], one becomes
            three by repetition; any other number is had from an ``.npz`` file and from the noise alone.

    Raises:
        InputError: whatever is wrong with the name, the options or the files, in one line.
    """
    norm = parse_normalize(normalize, channels)
    transform = Transform(check_image_size(image_size), normalize=norm, channels=channels)
    count = _check_count(max_images)
    if spec in DESCRIPTIONS and spec != "noise":
        check_channels(3, channels, spec)  # before anything is downloaded
    if spec == "auto":
        images = _auto(transform, data_root, offline)
    elif spec == "cifar10":
        images = cifar10(transform, data_root=data_root, offline=offline)
    elif spec in ("digits", "photos"):
        images = (digits if spec == "digits" else photos)(transform)
    elif spec in ("scenes", "noise"):
        images = _generated(spec, transform, count, seed)
    else:
        images = _from_path(spec, transform)
    return images.prefix(count)


def _check_count(max_images: int | None) -> int | None:
    if max_images is not None and (
        isinstance(max_images, bool) or int(max_images) != max_images or max_images < 1
    ):
        raise InputError(f"--max-images is {max_images!r}; expected a whole number above 0")
    return max_images


def _auto(transform: Transform, data_root: str | Path | None, offline: bool) -> ImageSet:
    try:
        return cifar10(transform, data_root=data_root, offline=offline, patience=AUTO_SECONDS)
    except CifarUnavailableError as error:
        reason = error.reason
    except InputError:
        reason = "what is in its cache cannot be used; --dataset cifar10 says why"
    return replace(digits(transform), substitute_for=f"cifar10: {reason}")


def _generated(spec: str, transform: Transform, count: int | None, seed: int) -> ImageSet:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < LARGEST_SEED:
        raise InputError(f"the seed is {seed!r}; expected a whole number from 0 to 2^63 - 1")
    size = transform.image_size
    if size < SMALLEST_GENERATED:
        raise InputError(
            f"{spec}: images of {size} pixels; expected --image-size {SMALLEST_GENERATED} or more"
        )
    if spec == "noise":
        return noise(size, count or DEFAULT_NOISES, seed, transform.channels)
    return scenes(transform, count or DEFAULT_SCENES, seed)


def _from_path(spec: str, transform: Transform) -> ImageSet:
    place = os.path.expanduser(spec)
    shown = printable(spec)[:80]
    if os.path.isdir(place):
        check_channels(3, transform.channels, f"folder {printable(Path(place).name)}")
        return load_folder(Path(place), transform)
    if os.path.isfile(place):
        if not place.lower().endswith(".npz"):
            raise InputError(f"dataset {shown} is a file, but not an .npz; expected a folder or an .npz file")
        return load_npz(Path(place), transform)
    if os.sep in spec or spec.lower().endswith(".npz"):
        raise InputError(f"dataset {shown!r}: there is no such folder or .npz file; check the path")
    raise unknown("dataset", shown, names())
