"""The image sources: ``--dataset``, its help, lists and errors read them from here, without torch."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...io.errors import InputError, printable, unknown, whole
from ...io.registry import Registry

if TYPE_CHECKING:
    from ..imageset import ImageSet
    from ..transforms import Normalize, Transform

LARGEST_SEED = 2**63 - 1
SMALLEST_GENERATED = 16  # pixels a side; smaller, the shapes cannot be told apart


@dataclass(frozen=True)
class Asked:
    """What a source is opened with."""

    transform: Transform  # what turns an image into the model's input
    path: Path | None = None  # of the folder or file, for sources that have one
    count: int | None = None  # images asked for; only what generates them need look, the rest are cut off
    seed: int = 0  # of what is generated
    data_root: str | Path | None = None  # where downloads are kept; None for the user's cache
    offline: bool = False  # never use the network

    def check_generated(self, name: str) -> None:
        """Raise ``InputError`` for a seed or an image size that no generated set has."""
        whole(self.seed, "the seed", 0, LARGEST_SEED)
        size = self.transform.image_size
        if size < SMALLEST_GENERATED:
            raise InputError(
                f"{name}: images of {size} pixels; expected --image-size {SMALLEST_GENERATED} or more"
            )


@dataclass(frozen=True)
class ImageSource:
    """Where images come from: ``open`` gives them in a fixed order, or raises ``InputError``."""

    name: str  # as after --dataset; of a form, such as FOLDER, what stands for it
    about: str  # one line for lists
    open: Callable[[Asked], ImageSet]
    channels: int | None = 3  # of its images, checked before it is opened; None if it can tell itself
    takes: Callable[[str], bool] | None = None  # whether a path is of this form; None for one with a name


def _built_in(name: str, about: str, module: str = "", **more: Any) -> ImageSource:
    """A source that is ``open_images`` of a module here, of its own name by default; imported when opened."""

    def open_images(asked: Asked) -> ImageSet:
        return import_module(f".{module or name}", __package__).open_images(asked)

    return ImageSource(name, about, open_images, **more)


SOURCES: Registry[ImageSource] = Registry(
    _built_in("auto", "cifar10 if it is cached or fetched within a few seconds, else digits"),
    _built_in("cifar10", "the 10,000 CIFAR-10 test images, 10 classes; cached or downloaded"),
    _built_in("digits", "1,797 handwritten digits of scikit-learn, 10 classes; always there"),
    _built_in(
        "photos", "1,200 32x32 crops of 10 photographs: colour texture without class layout; always there"
    ),
    _built_in(
        "scenes", "2,000 generated images (or --max-images) of 10 shapes with true boundaries, from the seed"
    ),
    _built_in(
        "noise", "800 generated images (or --max-images) of 16 noise families, from the seed", channels=None
    ),
    _built_in("FOLDER", "images in one folder per class, or without classes", "folder", takes=os.path.isdir),
    _built_in(
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
    # With torch, which listing the sources does without.
    from ..transforms import Transform, check_channels, parse_normalize

    norm = parse_normalize(normalize, channels)
    transform = Transform(image_size, normalize=norm, channels=channels)
    if max_images is not None:
        whole(max_images, "the number of images", 1)
    source = find_source(spec)
    if source.channels is not None:  # before anything is downloaded
        check_channels(source.channels, channels, f"dataset {printable(spec)[-80:]}")
    asked = Asked(transform, Path(spec).expanduser(), max_images, seed, data_root, offline)
    return source.open(asked).prefix(max_images)


def find_source(spec: str) -> ImageSource:
    """The source of a name or path after ``--dataset``, unopened; ``InputError`` where there is none."""
    if spec in names():
        return SOURCES[spec]
    place = os.path.expanduser(spec)
    for source in SOURCES.values():
        if source.takes is not None and source.takes(place):
            return source
    if os.sep in spec or spec.lower().endswith(".npz") or os.path.isfile(place):
        raise InputError(
            f"dataset {printable(spec)[:80]!r}: there is no such folder or .npz file; expected a folder or "
            "an .npz file; check the path"
        )
    raise unknown("dataset", printable(spec)[:80], names())
