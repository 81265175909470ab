"""Images from an ``.npz`` file, whose names, shapes and sizes are checked before any value is read."""

from __future__ import annotations

import zipfile
from typing import Any

from ...io.arrays import DamagedArchiveError, StoredArray, open_archive
from ...io.errors import InputError, nearest, printable, reason
from ...io.files import open_regular
from ..imageset import ImageSet, array_set, check_numbers, check_pixels
from . import Asked

KEYS = ("images", "labels", "classes", "groups")
LARGEST = 8 << 30  # bytes of all arrays; larger sets belong in a folder, which is read batch by batch
LARGEST_CLASSES = 32 << 20  # bytes in memory, four a character and about 100 a name
WANTED = (
    "expected images uint8 (N, H, W, C) from 0 to 255, labels and groups (N,) or none; make them so with "
    "images.transpose(0, 2, 3, 1), images[..., None] or (255 * images).round().astype('uint8')"
)


def open_images(asked: Asked) -> ImageSet:
    """Read ``images`` and, where present, ``labels``, ``classes`` and ``groups``.

    Raises:
        InputError: the file cannot be read; wrong keys, shapes or dtypes; more than 8 GiB.
    """
    path, transform = asked.path, asked.transform
    name = printable(path.stem)
    with open_regular(path, "image file", LARGEST + (1 << 20)) as file:
        try:
            arrays = _read(open_archive(file), name, transform.channels)
        except InputError:
            raise
        except Exception as error:  # zipfile, zlib and numpy say "damaged" in a dozen ways
            shown = f"{printable(path.name)} cannot be read as an .npz file ({reason(error)})"
            raise InputError(f"{shown}; {WANTED}") from None
    about = {key: arrays.get(key) for key in KEYS[1:]}
    return array_set(arrays["images"], transform, name, f"file {printable(path.name)}", **about).interleaved()


def _read(archive: zipfile.ZipFile, name: str, channels: int) -> dict[str, Any]:
    found: dict[str, StoredArray] = {}
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key not in KEYS or key == member.filename:
            raise DamagedArchiveError(f"unknown array {printable(key)[:80]!r}, {nearest(key, KEYS)}")
        found[key] = StoredArray(archive, member)
    if "images" not in found:
        raise DamagedArchiveError(f"no array 'images', only {sorted(found) or 'nothing'}")
    total = sum(array.member.file_size for array in found.values())
    if total > LARGEST:
        raise DamagedArchiveError(f"{total:,} bytes, expected at most {LARGEST >> 30} GiB; use a folder")
    images = found["images"]
    check_pixels(images.dtype, images.shape, channels, name, WANTED)
    for key, array in found.items():
        if key in ("labels", "groups"):
            check_numbers(array.dtype, array.shape, images.shape[0], f"{name}: {key}")
        elif key == "classes":
            text = array.dtype.kind == "U" and len(array.shape) == 1
            if not text or array.shape[0] * (array.dtype.itemsize + 100) > LARGEST_CLASSES:
                raise InputError(f"{name}: classes are {array}; expected text (K,), a name for each class")
    arrays: dict[str, Any] = {key: array.load() for key, array in found.items()}
    if "classes" in arrays:  # here, because it fails on what is no character
        arrays["classes"] = arrays["classes"].tolist()
    return arrays
