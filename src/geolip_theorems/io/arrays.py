"""Named arrays in one compressed ``.npz`` file, read with bounds and without pickles."""

from __future__ import annotations

import math
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from .archives import open_archive
from .errors import InputError, printable, reason
from .files import file_sha256, open_regular
from .writing import write_atomically

LARGEST = 1 << 30  # bytes of all arrays together, unpacked
MOST_ARRAYS = 1000  # a subject has some 50
KEY = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)+")
KINDS = "biufU"  # bool, whole numbers, floats, text: nothing that needs a pickle


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write arrays whole or not at all; equal arrays give equal bytes.

    Returns:
        The record's entry: ``file``, the name, and ``sha256``.

    Raises:
        OSError: the folder cannot be written.
        ValueError: a key is no path of two or more words, or an array holds objects.
    """
    for key, array in arrays.items():
        if not KEY.fullmatch(key) or np.asarray(array).dtype.kind not in KINDS:
            raise ValueError(f"companion array {key!r} of dtype {np.asarray(array).dtype} cannot be kept")

    def save(name: str) -> None:
        with open(name, "wb") as file:
            np.savez_compressed(file, **arrays)

    write_atomically(path, save)
    return describe(path)


def describe(path: Path) -> dict[str, str]:
    """The record's entry for a companion that is there."""
    return {"file": path.name, "sha256": file_sha256(path)}


def read(path: Path) -> dict[str, np.ndarray]:
    """A companion's arrays.

    Raises:
        InputError: missing, damaged, too large unpacked, or not of this suite; nothing in it is run.
    """
    name = printable(path.name, 200)
    if not os.path.lexists(path):
        raise InputError(f"companion {name!r} is missing; keep it beside its results file")
    with open_regular(path, "companion", LARGEST) as file:
        try:
            archive = open_archive(file)
            members = archive.infolist()
            unpacked = sum(member.file_size for member in members)
            if unpacked > LARGEST or len(members) > MOST_ARRAYS:
                raise InputError(
                    f"companion {name!r} has {len(members):,} arrays of {unpacked:,} bytes; it is not of "
                    "this suite"
                )
            return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
        except InputError:
            raise
        except Exception as error:  # zipfile, zlib and NumPy say "damaged" in many ways
            raise InputError(
                f"companion {name!r} is damaged ({reason(error)}); run the suite again"
            ) from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    key = member.filename.removesuffix(".npy")
    if not KEY.fullmatch(key):
        raise ValueError(f"entry {printable(member.filename, 80)!r}")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{key}: another version of the array format")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        # Memory is taken by what the header says, so it must say what is there.
        unlikely = min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize > member.file_size
        if dtype.kind not in KINDS or unlikely:
            raise ValueError(f"{key}: {dtype} {shape} in {member.file_size} bytes")
    with archive.open(member) as file:
        return np.lib.format.read_array(file, allow_pickle=False)
