"""Temporary folders that a killed process does not leave behind for ever.

A folder is held by a lock that the system gives up when its process ends, however it ends. The next start
removes what nobody holds.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "geolip-theorems-"
LOCK = ".held"
YOUNG_S = 60.0  # a folder may exist for a moment before it is locked


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A new temporary folder, held while this process lives and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with FileLock(folder / LOCK):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_stale(now: float | None = None) -> list[Path]:
    """Remove this user's folders whose process has ended; returns them. Others' and young ones stay."""
    now = time.time() if now is None else now
    removed = []
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            state = folder.lstat()
            ours = not folder.is_symlink() and (folder / LOCK).exists() and state.st_uid == os.getuid()
            if ours and now - state.st_mtime >= YOUNG_S:
                with FileLock(folder / LOCK, timeout=0):
                    removed.append(folder)
                shutil.rmtree(folder, ignore_errors=True)
    return removed
