"""The image sources: ``--dataset``, its help, lists and errors read them from here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...io.errors import InputError, printable, unknown
from ...io.registry import Registry
from .base import Asked, ImageSource, built_in

if TYPE_CHECKING:
    from ..imageset import ImageSet
    from ..transforms import Normalize

SOURCES: Registry[ImageSource] = Registry(
    built_in("auto", "cifar10 if it is cached or fetched within a few seconds, else digits"),
    built_in("cifar10", "the 10,000 CIFAR-10 test images, 10 classes; cached or downloaded"),
    built_in("digits", "1,797 handwritten digits of scikit-learn, 10 classes; always there"),
    built_in(
        "photos", "1,200 32x32 crops of 10 photographs: colour texture without class layout; always there"
    ),
    built_in(
        "scenes", "2,000 generated images (or --max-images) of 10 shapes with true boundaries, from the seed"
    ),
    built_in(
        "noise", "800 generated images (or --max-images) of 16 noise families, from the seed", channels=None
    ),
    built_in("FOLDER", "images in one folder per class, or without classes", "folder", takes=os.path.isdir),
    built_in(
        "FILE.npz",
        "images uint8 (N, H, W, C), optional labels, classes, groups",
        "npz",
        channels=None,
        takes=lambda path: path.lower().endswith(".npz") and os.path.isfile(path),
    ),
)


def names() -> list[str]:
    """The sources known by name; the others are forms of paths."""
    return [source.name for source in SOURCES.values() if source.takes is None]


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
    from ..channels import check_channels  # with torch, which listing the sources does without
    from ..imageset import check_count
    from ..transforms import Transform, check_image_size, parse_normalize

    norm = parse_normalize(normalize, channels)
    transform = Transform(check_image_size(image_size), normalize=norm, channels=channels)
    check_count(max_images)
    source = find_source(spec)
    if source.channels is not None:  # before anything is downloaded
        check_channels(source.channels, channels, f"dataset {printable(spec)[-80:]}")
    return source.open(
        Asked(transform, Path(spec).expanduser(), max_images, seed, data_root, offline)
    ).prefix(max_images)


def find_source(spec: str) -> ImageSource:
    """The source of a name or path after ``--dataset``; nothing of it is opened.

    Raises:
        InputError: there is none.
    """
    if spec in names():
        return SOURCES[spec]
    place = os.path.expanduser(spec)
    forms = [source for source in SOURCES.values() if source.takes is not None]
    for source in forms:
        if source.takes(place):
            return source
    shown = printable(spec)[:80]
    if os.path.isfile(place):
        raise InputError(f"dataset {shown} is a file, but not an .npz; expected a folder or an .npz file")
    if os.sep in spec or spec.lower().endswith(".npz"):
        raise InputError(f"dataset {shown!r}: there is no such folder or .npz file; check the path")
    raise unknown("dataset", shown, names())
