"""Temporary folders that a killed process does not leave behind for ever.

A folder is held by a lock that the system gives up when its process ends, however it ends. The next start
removes what nobody holds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "geolip-theorems-"
LOCK = ".held"
YOUNG_S = 60.0  # a folder may exist for a moment before it is locked


def held_folder() -> tuple[Path, Callable[[], None]]:
    """A new temporary folder, held while this process lives, and the function that removes it."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(str(folder / LOCK))
    lock.acquire()

    def remove() -> None:
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)

    return folder, remove


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A held folder that is removed at the end."""
    folder, remove = held_folder()
    try:
        yield folder
    finally:
        remove()


def remove_stale(now: float | None = None) -> list[Path]:
    """Remove this user's folders whose process has ended; returns them. Others' and young ones stay."""
    now = time.time() if now is None else now
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            state = folder.lstat()
            stale = folder.is_dir() and not folder.is_symlink() and (folder / LOCK).exists()
            if not stale or now - state.st_mtime < YOUNG_S or state.st_uid != os.getuid():
                continue
            lock = FileLock(str(folder / LOCK))
            lock.acquire(timeout=0)
        except (OSError, Timeout):
            continue
        lock.release()
        shutil.rmtree(folder, ignore_errors=True)
        removed.append(folder)
    return removed
