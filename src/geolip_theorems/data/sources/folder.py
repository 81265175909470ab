"""Images from a folder in torchvision's ImageFolder layout, read file by file when asked for."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ...io.errors import InputError, printable
from ..imageset import ImageSet
from ..pictures import as_rgb, open_picture
from ..stores import Store
from ..transforms import Transform, check_picture
from .base import Asked

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
EIGHT_BIT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
LARGEST_FILE = 256 << 20  # bytes
DEEPEST = 64  # folders within folders
LAYOUT = "expected images in one folder for each class, or images without class folders"


class FolderStore(Store):
    """Image files, opened one at a time.

    Args:
        root: the folder; files are named relative to it in messages.
        files: paths relative to the folder, strings.
        transform: what turns an image into the model's input; it must crop, so that all end equally large.
    """

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
                h.update(_sha256(stream))
        return h.digest()

    def _has_alpha(self, i: int) -> bool:
        if self._alpha[i] < 0:
            with self._opened(self.files[i]) as image:
                self._alpha[i] = image.has_transparency_data
        return bool(self._alpha[i])

    def _regular(self, file: str) -> Path:
        """The file's path, if it is a regular file of acceptable size: no device, pipe or dangling link."""
        path = self.root / file
        try:
            status = path.stat()
        except OSError as error:
            raise self._unreadable(file, error) from None
        if not stat.S_ISREG(status.st_mode) or not 0 < status.st_size <= LARGEST_FILE:
            raise InputError(
                f"{self._name(file)} is not a file of 1 byte to {LARGEST_FILE >> 20} MiB; take it out of "
                "the folder"
            )
        return path

    @contextmanager
    def _opened(self, file: str) -> Iterator[Image.Image]:
        path = self._regular(file)
        with ExitStack() as stack:
            try:
                image = stack.enter_context(open_picture(path))
            except Exception as error:  # Pillow's readers raise what they like on damaged files
                raise self._unreadable(file, error) from None
            check_picture(image.width, image.height, self._name(file))
            if image.mode not in EIGHT_BIT:
                raise InputError(
                    f"{self._name(file)} has pixels of mode {image.mode}; expected 8 bits a channel"
                )
            yield image

    def _image(self, file: str) -> Image.Image:
        with self._opened(file) as image:
            try:
                return as_rgb(image)
            except Exception as error:  # as above
                raise self._unreadable(file, error) from None

    def _name(self, file: str) -> str:
        return "image " + printable(f"{self.root.name}/{file}")

    def _unreadable(self, file: str, error: Exception) -> InputError:
        detail = printable(str(getattr(error, "strerror", None) or error)).replace(str(self.root), "")[:160]
        return InputError(
            f"{self._name(file)} cannot be read as an image ({type(error).__name__}: {detail}); "
            "replace it or take it out of the folder"
        )


def _sha256(stream) -> bytes:
    h = hashlib.sha256()
    while block := stream.read(1 << 20):
        h.update(block)
    return h.digest()


def open_images(asked: Asked) -> ImageSet:
    """The images below a folder, as RGB on white: the transform, with a CenterCrop after the Resize.

    A subfolder is a class, its images those at any depth in it, in torchvision's order, then interleaved
    by class; a folder without class folders gives unlabelled images. Hidden files are left out.

    Raises:
        InputError: no image, an empty class, images beside class folders, or links that run in circles.
    """
    path = Path(os.path.abspath(asked.path))
    loose, classes = _scan(path)
    shown = printable(path.name) or "folder"
    filled = [name for name, files in classes.items() if files]
    if loose and filled:
        raise InputError(
            f"folder {shown} has images ({printable(loose[0])}) beside class folders "
            f"({printable(filled[0])}); {LAYOUT}"
        )
    if not loose and not filled:
        raise InputError(f"folder {shown} holds no image ({', '.join(EXTENSIONS)}); {LAYOUT}")
    empty = [name for name in classes if name not in filled]
    if filled and empty:
        raise InputError(f"folder {shown}: class {printable(empty[0])!r} has no image; {LAYOUT}")
    transform = replace(asked.transform, crop=True)
    source = f"folder {shown}"
    if loose:
        return ImageSet(shown, source, FolderStore(path, loose, transform), transform.describe())
    files = [file for name in filled for file in classes[name]]
    labels = np.repeat(np.arange(len(filled), dtype=np.int64), [len(classes[name]) for name in filled])
    store = FolderStore(path, files, transform)
    names = tuple(printable(name) for name in filled)
    return ImageSet(shown, source, store, transform.describe(), labels, names).interleaved()


def _scan(root: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Images right below the folder, and for each subfolder those at any depth; paths relative to root."""
    try:
        entries = sorted(name for name in os.listdir(root) if not _hidden(name))
    except OSError as error:
        raise InputError(f"folder {printable(root.name)} cannot be read ({error.strerror})") from None
    folders = [name for name in entries if os.path.isdir(root / name)]
    known = set(folders)
    loose = [name for name in entries if _is_image(name) and name not in known]
    seen = {os.path.realpath(root)}
    return loose, {name: _below(root, name, seen) for name in folders}


def _below(root: Path, name: str, seen: set[str]) -> list[str]:
    """The images at any depth below a class folder; links to folders are followed, but never twice."""
    found, open_ = [], [(name, 1)]
    while open_:
        inside, depth = open_.pop()
        where = printable(f"{root.name}/{inside}", 200)
        real = os.path.realpath(root / inside)
        if real in seen:
            raise InputError(f"folder {where} is reached twice through symbolic links; remove the link")
        if depth > DEEPEST:
            raise InputError(f"folder {where} is over {DEEPEST} folders deep; {LAYOUT}")
        seen.add(real)
        try:
            with os.scandir(root / inside) as entries:
                shown = [entry for entry in entries if not _hidden(entry.name)]
        except OSError as error:
            raise InputError(
                f"folder {where} cannot be read ({error.strerror}); make it readable or take it out"
            ) from None
        folders = [entry.name for entry in shown if entry.is_dir()]
        open_ += [(os.path.join(inside, folder), depth + 1) for folder in folders]
        found += [(inside, entry.name) for entry in shown if _is_image(entry.name) and not entry.is_dir()]
    return [os.path.join(*pair) for pair in sorted(found)]


def _hidden(name: str) -> bool:
    return name.startswith(".")


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS)
