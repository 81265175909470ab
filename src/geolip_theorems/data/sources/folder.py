"""Images from a folder in torchvision's ImageFolder layout, read file by file when asked for."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...io.errors import InputError, printable
from ...io.files import hex_digest
from ..imageset import ImageSet
from ..pictures import as_rgb, open_picture
from ..stores import Store
from ..transforms import Transform, check_picture
from . import Asked

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
LARGEST_FILE = 256 << 20  # bytes
DEEPEST = 64  # folders within folders
LAYOUT = "expected images in one folder for each class, or images without class folders"


class FolderStore(Store):
    """Image files below a folder, opened one at a time; the transform must crop them to one size."""

    def __init__(self, root: Path, files: list[str], transform: Transform) -> None:
        self.root = root
        self.files = files
        self.transform = transform
        self.size = transform.output_size(1, 1)
        self.channels = transform.channels
        self._alpha = np.full(len(files), -1, np.int8)  # whether a file has that channel; -1: not looked yet

    def __len__(self) -> int:
        return len(self.files)

    def tensor(self, index: np.ndarray) -> torch.Tensor:
        return self.transform.batch(self._image(self.files[i]) for i in index)

    def on_white(self, index: np.ndarray) -> int:
        return sum(self._has_alpha(i) for i in index)

    def digest(self, index: np.ndarray) -> bytes:
        """Reads each file once, and looks at its header: what is no image is found before any work starts."""
        h = hashlib.sha256(b"files")
        for i in index:
            h.update(b"on white" if self._has_alpha(i) else b"")
            with open(self.root / self.files[i], "rb") as stream:
                h.update(bytes.fromhex(hex_digest(stream)))
        return h.digest()

    def _has_alpha(self, i: int) -> bool:
        if self._alpha[i] < 0:
            with self._opened(self.files[i]) as image:
                self._alpha[i] = image.has_transparency_data
        return bool(self._alpha[i])

    def _image(self, file: str) -> Image.Image:
        with self._opened(file) as image:
            return as_rgb(image)

    @contextmanager
    def _opened(self, file: str) -> Iterator[Image.Image]:
        """An image whose size and mode will do; whatever Pillow raises, also later, is one line."""
        path, name = self.root / file, "image " + printable(f"{self.root.name}/{file}")
        try:
            status = path.stat()  # opening a pipe or device may wait, and reading it never end
            if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= LARGEST_FILE:
                raise InputError(f"{name} is not a file of 1 byte to {LARGEST_FILE >> 20} MiB; take it out")
            with open_picture(path) as image:
                check_picture(image.width, image.height, name)
                if image.mode not in EIGHT_BIT:
                    raise InputError(f"{name} has pixels of mode {image.mode}; expected 8 bits a channel")
                yield image
        except InputError:
            raise
        except Exception as error:  # Pillow's readers raise what they like on damaged files
            detail = printable(getattr(error, "strerror", None) or error).replace(str(self.root), "")[:160]
            raise InputError(
                f"{name} cannot be read as an image ({type(error).__name__}: {detail}); replace it or "
                "take it out of the folder"
            ) from None


def open_images(asked: Asked) -> ImageSet:
    """The images below a folder, as RGB on white: the transform, with a CenterCrop after the Resize.

    A subfolder is a class, its images those at any depth in it, in torchvision's order, then interleaved
    by class; a folder without class folders gives unlabelled images. Hidden files are left out.

    Raises:
        InputError: no image, an empty class, images beside class folders, or links that run in circles.
    """
    root = Path(os.path.abspath(asked.path))
    shown = printable(root.name) or "folder"
    found = _images_below(root)
    loose = found.pop("", [])
    empty = [name for name, files in found.items() if not files]
    if len(empty) == len(found):
        found = {}
    if not loose and not found:
        raise InputError(f"folder {shown} holds no image ({', '.join(EXTENSIONS)}); {LAYOUT}")
    if loose and found:
        names = f"has images ({printable(loose[0])}) beside class folders ({printable(next(iter(found)))})"
        raise InputError(f"folder {shown} {names}; {LAYOUT}")
    if found and empty:
        raise InputError(f"folder {shown}: class {printable(empty[0])!r} has no image; {LAYOUT}")
    transform = replace(asked.transform, crop=True)
    store = FolderStore(root, loose or [*chain.from_iterable(found.values())], transform)
    images = ImageSet(shown, f"folder {shown}", store, transform.describe())
    if loose:
        return images
    labels = np.repeat(np.arange(len(found), dtype=np.int64), [len(files) for files in found.values()])
    return replace(images, labels=labels, classes=tuple(map(printable, found))).interleaved()


def _images_below(root: Path) -> dict[str, list[str]]:
    """Paths relative to the root, of each subfolder at any depth and right below the root, which is "".

    Links to folders are followed, but no folder is entered twice. In torchvision's order: by folder, by name.
    """
    found: dict[str, list[str]] = {}
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        where = printable(
            os.path.normpath(os.path.join(root.name, os.path.relpath(error.filename, root))), 200
        )
        raise InputError(f"folder {where} cannot be read ({error.strerror}); make it readable or take it out")

    for here, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        inside = os.path.relpath(here, root)
        parts = [] if inside == "." else inside.split(os.sep)
        where = printable(os.path.join(root.name, *parts), 200)
        real = os.path.realpath(here)
        if real in seen:
            raise InputError(f"folder {where} is reached twice through symbolic links; remove the link")
        if len(parts) > DEEPEST:
            raise InputError(f"folder {where} is over {DEEPEST} folders deep; {LAYOUT}")
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        images = [name for name in files if name.lower().endswith(EXTENSIONS) and not name.startswith(".")]
        found.setdefault(parts[0] if parts else "", []).extend(
            os.path.join(*parts, "", name) for name in images
        )
    return {name: sorted(files, key=os.path.split) for name, files in sorted(found.items())}
