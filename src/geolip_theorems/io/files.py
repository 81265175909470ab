"""Regular files of bounded size, no pipe that blocks, no endless device; written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from .errors import InputError, printable, reason

MOST_VALUES = 2_000_000  # of a JSON file; each may take 90 bytes of memory, and a subject's record has 5,000


def open_plain(path: Path, flags: int = os.O_RDONLY) -> BinaryIO:
    """A regular file, unbuffered, for reading or, with ``os.O_RDWR``, also for writing; else ``OSError``."""
    # Opening a pipe waits for a writer unless told not to; what was opened is looked at, not the name.
    handle = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a file but a folder, pipe or device")
    return os.fdopen(handle, "r+b" if flags & os.O_RDWR else "rb", buffering=0)


def open_regular(path: Path, what: str, largest: int) -> BinaryIO:
    """A regular file of at most ``largest`` bytes, opened for reading; symbolic links are followed.

    Raises:
        InputError: missing, not a regular file, unreadable or too large; ``what`` is what the user calls it.
    """
    name = f"{what} {printable(path.name, 200)!r}"
    try:
        file = io.BufferedReader(open_plain(path))
    except (OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or reason(error)
        raise InputError(f"{name} cannot be read: {detail}; give the path of a readable file") from None
    size = os.fstat(file.fileno()).st_size
    if size > largest:
        file.close()
        raise InputError(f"{name} has {size:,} bytes; expected at most {largest:,}")
    return file


def read_small(path: Path, what: str, largest: int) -> bytes:
    """The bytes of a regular file that is read whole; ``InputError`` as for :func:`open_regular`."""
    with open_regular(path, what, largest) as file:
        try:
            return file.read(largest)  # a file that grows meanwhile stays bounded too
        except OSError as error:
            name = printable(path.name, 200)
            raise InputError(f"{what} {name!r} cannot be read: {error.strerror}") from None


def read_json(path: Path, what: str, largest: int) -> Any:
    """The content of a JSON file: numbers of any size JSON allows, but no ``NaN`` or ``Infinity``.

    Raises:
        InputError: see :func:`open_regular`; or not JSON, nested beyond reason, or of too many values.
    """
    content, name = read_small(path, what, largest), f"{what} {printable(path.name, 200)!r}"
    if sum(map(content.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise InputError(f"{name} holds over {MOST_VALUES:,} values; expected fewer")
    try:
        return msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise InputError(f"{name} is not JSON: {reason(error)}; write it again") from None


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return hex_digest(file)


def hex_digest(file: BinaryIO, algorithm: str = "sha256") -> str:
    """Hash of what is left of an open file, hexadecimal."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


@contextmanager
def refused(what: str, other: str) -> Iterator[None]:
    """Say in a line that ``what`` cannot be written, and what else to give, where that is so.

    Raises:
        InputError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"{what} cannot be written ({error.strerror}); give another {other}") from None


def write_atomically(path: Path, write: Callable[[str], None]) -> None:
    """Call ``write`` with a temporary name beside ``path`` and move the result into place.

    Readers see the old file or the new one, whole; on failure the old one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    try:
        write(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove(path: Path) -> None:
    """Remove whatever stands at a path, if anything can: a folder with all in it, a link without its aim."""
    with suppress(OSError):
        if stat.S_ISDIR(path.lstat().st_mode):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def make_way(path: Path) -> None:
    """Remove what stands where a regular file ought to be: a link, a pipe, a folder."""
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        remove(path)
