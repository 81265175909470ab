"""Images from an ``.npz`` file, which is checked before any of it is read.

Nothing in the file is executed: arrays of Python objects are refused. Sizes are taken from the archive's
directory and the arrays' headers, which must agree, so that neither a compression bomb nor an absurd shape
takes memory.
"""

from __future__ import annotations

import math
import zipfile
from typing import Any

import numpy as np
from numpy.lib import format as npy

from ...io.archives import DamagedArchiveError, open_archive
from ...io.errors import InputError, nearest, printable, reason, shown
from ...io.files import open_regular
from ..channels import fits, taken
from ..imageset import LARGEST_CLASSES, LONGEST_CLASS_NAME, ImageSet, array_set
from ..transforms import check_picture
from .base import Asked

KEYS = ("images", "labels", "classes", "groups")
LARGEST = 8 << 30  # bytes of all arrays; larger sets belong in a folder, which is read batch by batch
LARGEST_FILE = LARGEST + (1 << 20)
LARGEST_CLASSES_ARRAY = 32 << 20  # bytes, four a character
LONGEST_HEADER = 16_384  # bytes; numpy itself refuses headers above 10,000
WANTED = (
    "expected images uint8 (N, H, W, C) of C channels and optionally labels (N,), classes (K,), groups (N,), "
    "N the number of images"
)


def open_images(asked: Asked) -> ImageSet:
    """Read ``images`` and, where present, ``labels``, ``classes`` and ``groups``.

    Raises:
        InputError: the file cannot be read; wrong keys, shapes or dtypes; more than 8 GiB.
    """
    path, transform = asked.path, asked.transform
    name = printable(path.stem)
    shown = f"{printable(path.name)} cannot be read as an .npz file"
    with open_regular(path, "image file", LARGEST_FILE) as file:
        try:
            arrays = _read(open_archive(file), name, transform.channels)
        except InputError:
            raise
        except DamagedArchiveError as error:
            raise InputError(f"{shown} ({error}); {WANTED}") from None
        except Exception as error:  # zipfile, zlib and numpy say "damaged" in a dozen ways
            raise InputError(f"{shown} ({type(error).__name__}: {reason(error)}); {WANTED}") from None
    return array_set(
        arrays["images"],
        transform,
        name,
        f"file {printable(path.name)}",
        labels=arrays.get("labels"),
        classes=arrays.get("classes"),
        groups=arrays.get("groups"),
    ).interleaved()


def _read(archive: zipfile.ZipFile, name: str, channels: int) -> dict[str, Any]:
    members = _members(archive, name)
    for key in (key for key in KEYS if key in members):  # the images first: the others have their number
        member, shape, dtype = members[key]
        if key == "images":
            _check_images(shape, dtype, channels, name)
        else:
            _check_numbers(key, shape, dtype, members["images"][1], name)
        header = member.file_size - math.prod(shape) * dtype.itemsize
        if not 0 < header <= LONGEST_HEADER:
            raise InputError(
                f"{name}: {key} claims {_shown(dtype, shape)}, which its {member.file_size} bytes do not "
                f"hold; {WANTED}"
            )
    arrays = {}
    for key, (member, _, _) in members.items():
        with archive.open(member) as stream:
            arrays[key] = npy.read_array(stream, allow_pickle=False)
    if "classes" in arrays:  # here, because it fails on what is no character
        arrays["classes"] = arrays["classes"].tolist()
    return arrays


def _members(archive: zipfile.ZipFile, name: str) -> dict[str, tuple]:
    """Key -> (archive member, shape, dtype), sizes checked against bombs and names against ``KEYS``."""
    members: dict[str, tuple] = {}
    total = 0
    for member in archive.infolist():
        key = member.filename.removesuffix(".npy")
        if key not in KEYS or key == member.filename:
            hint = nearest(key, KEYS)
            raise InputError(f"{name}: unknown array {printable(key)[:80]!r}, {hint}; {WANTED}")
        total += member.file_size
        if total > LARGEST:
            raise InputError(
                f"{name}: {key} would take {member.file_size / 2**30:.1f} GiB; expected at most "
                f"{LARGEST >> 30} GiB of images in one .npz; use a folder"
            )
        with archive.open(member) as stream:
            members[key] = (member, *_header(stream, key, name))
    if "images" not in members:
        raise InputError(f"{name}: no array 'images', only {sorted(members) or 'nothing'}; {WANTED}")
    return members


def _header(stream, key: str, name: str) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(stream)
    if version != (1, 0):  # later ones are for headers above 64 KiB, which NumPy reads before it refuses them
        raise InputError(f"{name}: {key} is in version {version} of the .npy format; expected 1.0")
    shape, _, dtype = npy.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise InputError(f"{name}: {key} holds Python objects, which are never loaded; {WANTED}")
    return shape, dtype


def _check_images(shape: tuple, dtype: np.dtype, channels: int, name: str) -> None:
    if dtype != np.uint8 or len(shape) != 4 or not fits(shape[3], channels) or 0 in shape:
        advice = _picture_advice(shape, dtype, channels)
        raise InputError("; ".join([f"{name}: images are {_shown(dtype, shape)}", *advice, WANTED]))
    check_picture(shape[2], shape[1], f"{name}: each image")


def _check_numbers(key: str, shape: tuple, dtype: np.dtype, images: tuple, name: str) -> None:
    if key == "classes":
        right = dtype.kind == "U" and len(shape) == 1 and shape[0] <= LARGEST_CLASSES
        right = right and dtype.itemsize <= 4 * LONGEST_CLASS_NAME
        right = right and shape[0] * dtype.itemsize <= LARGEST_CLASSES_ARRAY
    else:
        right = dtype.kind in "iu" and shape == images[:1]
    if not right:
        advice = _number_advice(key, shape, dtype, images)
        raise InputError("; ".join([f"{name}: {key} are {_shown(dtype, shape)}", *advice, WANTED]))


def _picture_advice(shape: tuple, dtype: np.dtype, channels: int) -> list[str]:
    """What makes images of another layout, type or number of channels fit a model of so many channels."""
    if 0 in shape or dtype.kind not in "buif":
        return []
    steps = []
    if len(shape) == 4 and not fits(shape[3], channels):
        if fits(shape[1], channels):
            steps.append("put the channels last with images.transpose(0, 2, 3, 1)")
        else:
            steps.append(taken(channels))
        if shape[3] == 4 and fits(3, channels):
            steps.append("leave the fourth channel out with images[..., :3]")
    elif len(shape) == 3 and fits(1, channels):
        steps.append("give grey images their channel with images[..., None]")
    if dtype.kind == "f":
        steps.append(
            "make values from 0 to 1 bytes with (255 * images).round().astype('uint8'), "
            "values from 0 to 255 with images.round().astype('uint8')"
        )
    elif dtype != np.uint8:
        steps.append("make values from 0 to 255 bytes with images.astype('uint8')")
    return steps


def _number_advice(key: str, shape: tuple, dtype: np.dtype, images: tuple) -> list[str]:
    """What makes labels, groups or class names fit."""
    if key == "classes":
        return [] if dtype.kind == "U" else ["give the classes' names as text"]
    if not shape or shape[0] != images[0]:
        count = shape[0] if shape else 0
        return [f"{shown(count, 40)} {key} for {images[0]:,} images; give one per image"]
    if dtype.kind == "U" and len(shape) == 1:
        return [f"make numbers of them with names, {key} = np.unique({key}, return_inverse=True)"]
    if len(shape) == 2 and shape[1] == 1:
        return [f"make a row of the column with {key}[:, 0]"]
    if key == "labels" and len(shape) == 2:
        return ["give the number of the class, of a table of ones and zeros labels.argmax(1)"]
    return [f"make whole numbers of them (finite ones) with {key}.astype(int)"] if dtype.kind in "fb" else []


def _shown(dtype: np.dtype, shape: tuple) -> str:
    return printable(f"{dtype} {shape}", 160)
