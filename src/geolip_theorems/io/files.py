"""Opening what a user names: regular files of bounded size, no pipe that blocks, no device without an end."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from .errors import InputError, printable, reason

MOST_VALUES = 2_000_000  # of a JSON file; each may take 90 bytes of memory, and a subject's record has 5,000


class IrregularError(OSError):
    """What stands at a path is a folder, pipe or device."""


def open_plain(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """A regular file and nothing else, unbuffered, for reading or, with ``os.O_RDWR``, also for writing.

    Raises:
        IrregularError: it is no regular file. OSError: what the system says.
    """
    # Opening a pipe waits for a writer unless told not to; what was opened is looked at, not the name.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise IrregularError(errno.EINVAL, "it is a folder, pipe or device")
    return os.fdopen(handle, "r+b" if flags & os.O_RDWR else "rb", buffering=0)


def open_regular(path: Path, what: str, largest: int) -> BinaryIO:
    """A regular file, opened for reading.

    Args:
        path: where it is; a symbolic link is followed.
        what: what the user calls it, such as ``model file``.
        largest: bytes it may have.

    Raises:
        InputError: missing, not a regular file, unreadable or too large.
    """
    name = f"{what} {printable(path.name, 200)!r}"
    try:
        file = io.BufferedReader(open_plain(path))
    except IrregularError:
        raise InputError(
            f"{name} is not a file but a folder, pipe or device; give the path of a file"
        ) from None
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or reason(error)
        raise InputError(f"{name} cannot be read: {detail}; give the path of a readable file") from None
    size = os.fstat(file.fileno()).st_size
    if size > largest:
        file.close()
        raise InputError(f"{name} has {size:,} bytes; expected at most {largest:,}")
    return file


def read_small(path: Path, what: str, largest: int) -> bytes:
    """The bytes of a regular file that is read whole.

    Raises:
        InputError: see :func:`open_regular`.
    """
    with open_regular(path, what, largest) as file:
        try:
            return file.read(largest)  # a file that grows meanwhile stays bounded too
        except OSError as error:
            raise InputError(
                f"{what} {printable(path.name, 200)!r} cannot be read: {error.strerror}"
            ) from None


def read_json(path: Path, what: str, largest: int) -> Any:
    """The content of a JSON file: numbers of any size JSON allows, but no ``NaN`` or ``Infinity``.

    Raises:
        InputError: see :func:`open_regular`; or not JSON, or nested beyond reason.
    """
    content = read_small(path, what, largest)
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise InputError(
            f"{what} {printable(path.name, 200)!r} holds over {MOST_VALUES:,} values; expected fewer"
        )
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(
            f"{what} {printable(path.name, 200)!r} is not JSON: {reason(error)}; write it again"
        ) from None


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return sha256_of(file)


def sha256_of(file: BinaryIO) -> str:
    """Hex SHA-256 of what is left of an open file."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
