"""What an image source is, and what it is asked for; no torch, so that sources can be listed without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...io.errors import InputError

if TYPE_CHECKING:
    from ..imageset import ImageSet
    from ..transforms import Transform

LARGEST_SEED = 2**63
SMALLEST_GENERATED = 16  # pixels a side; smaller, the shapes cannot be told apart


@dataclass(frozen=True)
class Asked:
    """What a source is opened with.

    Attributes:
        transform: what turns an image into the model's input.
        path: of the folder or file, for sources that have one.
        count: images asked for, or None; only what generates them need look, the rest are cut off.
        seed: of what is generated.
        data_root: where downloads are kept; None for the user's cache.
        offline: never use the network.
    """

    transform: Transform
    path: Path | None = None
    count: int | None = None
    seed: int = 0
    data_root: str | Path | None = None
    offline: bool = False

    def check_generated(self, name: str) -> None:
        """Raise ``InputError`` for a seed or an image size that no generated set has."""
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < LARGEST_SEED:
            raise InputError(f"the seed is {self.seed!r}; expected a whole number from 0 to 2^63 - 1")
        size = self.transform.image_size
        if size < SMALLEST_GENERATED:
            raise InputError(
                f"{name}: images of {size} pixels; expected --image-size {SMALLEST_GENERATED} or more"
            )


@dataclass(frozen=True)
class ImageSource:
    """Where images come from.

    Attributes:
        name: as after ``--dataset``; of a form, such as FOLDER, what stands for it.
        about: one line for lists.
        open: the images, in a fixed order. Raises InputError: they cannot be had.
        channels: its images have so many, which is checked before it is opened; None if it can tell itself.
        takes: whether a path is of this form; None for a source with a name.
    """

    name: str
    about: str
    open: Callable[[Asked], ImageSet]
    channels: int | None = 3
    takes: Callable[[str], bool] | None = None


def built_in(name: str, about: str, module: str = "", **more: Any) -> ImageSource:
    """A source that is ``open_images`` of a module here, of its own name by default; imported when opened."""

    def open_images(asked: Asked) -> ImageSet:
        return import_module(f".{module or name}", __package__).open_images(asked)

    return ImageSource(name, about, open_images, **more)
