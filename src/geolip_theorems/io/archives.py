"""Zip archives that are looked at before anything in them is unpacked."""

from __future__ import annotations

import struct
import zipfile
from typing import BinaryIO

from .errors import printable

LARGEST_DIRECTORY = 4 << 20  # bytes; an entry takes 46 and its name, so some 50,000 members
# What members may unpack to: images and maps shrink to a half, pictures of a few grey values to a tenth.
UNPACKED, UNPACKED_TIMES = 192 << 20, 2  # bytes, and so many times the archive's
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # NumPy and torch write no others; LZMA takes gigabytes


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
