"""Zip archives and the arrays in them, looked at before anything is unpacked; companions of results."""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from .errors import InputError, printable, reason
from .files import file_sha256, open_regular, write_atomically

LARGEST_DIRECTORY = 4 << 20  # bytes; an entry takes 46 and its name, so some 50,000 members
# What members may unpack to: images and maps shrink to a half, pictures of a few grey values to a tenth.
UNPACKED, UNPACKED_TIMES = 192 << 20, 2  # bytes, and so many times the archive's
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy and torch write no others; LZMA takes gigabytes

LARGEST = 1 << 30  # bytes of a companion's arrays together, unpacked
MOST_ARRAYS = 1000  # a subject has some 50
LONGEST_HEADER = 16_384  # bytes; numpy itself refuses headers above 10,000
KEY = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)+")
KINDS = "biufU"  # bool, whole numbers, floats, text: nothing that needs a pickle


class DamagedArchiveError(ValueError):
    """A file is no zip archive, or one that no writer of ours makes; the message says why."""


def open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """The archive in a file, its directory read: bounded in size, names distinct, nothing encrypted.

    Raises:
        DamagedArchiveError: anything else.
    """
    bounded = _Bounded(file)
    try:
        archive = zipfile.ZipFile(bounded)
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError, struct.error) as error:
        raise DamagedArchiveError(f"it is not a zip archive: {printable(error, 100)}") from None
    bounded.largest = None
    members, size = archive.infolist(), file.seek(0, 2)
    unpacked = sum(member.file_size for member in members)
    if sum(member.compress_size for member in members) > size:
        raise DamagedArchiveError("its members claim more bytes than it has")
    if unpacked > max(size, UNPACKED + UNPACKED_TIMES * size):
        limits = f"{UNPACKED_TIMES} times its size and {UNPACKED >> 20} MiB"
        raise DamagedArchiveError(
            f"it unpacks to {unpacked:,} bytes, over {limits}; write it without compression"
        )
    seen = set()
    for member in members:
        shown, folded = repr(printable(member.filename, 80)), member.filename.casefold()
        if folded in seen:  # readers differ on which they take, and whether A and a are equal
            raise DamagedArchiveError(f"it holds two members named {shown}")
        if member.compress_type not in METHODS:
            raise DamagedArchiveError(f"{shown} is compressed in an unusual way; expected stored or deflated")
        if member.flag_bits & 1:
            raise DamagedArchiveError(f"{shown} is encrypted")
        seen.add(folded)
    return archive


class _Bounded:
    """A file that gives no more at once than an archive's directory may have, while ``largest`` is set."""

    def __init__(self, file: BinaryIO) -> None:
        self.largest: int | None = LARGEST_DIRECTORY
        self.seek, self.tell, self.seekable, self._read = file.seek, file.tell, file.seekable, file.read

    def read(self, size: int = -1) -> bytes:
        if self.largest is not None and size > self.largest:
            raise zipfile.BadZipFile(f"its directory is larger than {self.largest >> 20} MiB")
        return self._read(size)


class StoredArray:
    """An array in an archive, with the shape and dtype that its header claims; no value is read yet."""

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        self.archive, self.member = archive, member
        self.key = member.filename.removesuffix(".npy")
        with archive.open(member) as file:
            version = npy.read_magic(file)
            if version != (1, 0):  # later ones are for headers above 64 KiB, read before they are refused
                raise DamagedArchiveError(
                    f"{self.key} is in version {version} of the .npy format; expected 1.0"
                )
            self.shape, _, self.dtype = npy.read_array_header_1_0(file)
        if self.dtype.hasobject:
            raise DamagedArchiveError(f"{self.key} holds Python objects, which are never loaded")

    def __str__(self) -> str:
        return printable(f"{self.dtype} {self.shape}", 160)

    def load(self) -> np.ndarray:
        """The values; refused unless the member is as long as its header claims, which takes the memory."""
        header = self.member.file_size - math.prod(self.shape) * self.dtype.itemsize
        if min(self.shape, default=0) < 0 or not 0 < header <= LONGEST_HEADER:
            size = self.member.file_size
            raise DamagedArchiveError(f"{self.key} claims {self}, which its {size} bytes do not hold")
        with self.archive.open(self.member) as file:
            return npy.read_array(file, allow_pickle=False)


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write a companion whole or not at all; equal arrays give equal bytes. Returns the record's entry.

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
    """The record's entry for a companion that is there: its ``file`` name and ``sha256``."""
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
                raise DamagedArchiveError(f"it has {len(members):,} arrays of {unpacked:,} bytes")
            stored = [StoredArray(archive, member) for member in members]
            if wrong := [a.key for a in stored if not KEY.fullmatch(a.key) or a.dtype.kind not in KINDS]:
                raise DamagedArchiveError(f"it has an entry {printable(wrong[0], 80)!r} of no companion")
            return {array.key: array.load() for array in stored}
        except Exception as error:  # zipfile, zlib and NumPy say "damaged" in many ways
            raise InputError(
                f"companion {name!r} is damaged ({reason(error)}); run the suite again"
            ) from None
