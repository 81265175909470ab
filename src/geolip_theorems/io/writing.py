"""Writing files whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import InputError


def write_atomically(path: Path, write: Callable[[str], None]) -> None:
    """Call ``write`` with a temporary name beside ``path`` and move the result into place.

    Readers see the old file or the new one, whole. On failure the old file stays and the temporary
    one is removed.
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
