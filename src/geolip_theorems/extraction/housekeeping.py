"""Looking after the cache: what is in it, whether it is whole, and making room."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from .cache import CACHE_VERSION, MapsCache, ledger_length, open_store, read_meta
from .shards import META, folder_bytes


@dataclass(frozen=True)
class Entry:
    """One entry of the cache, as ``geolip-theorems cache`` lists it.

    Attributes:
        key: its name, 32 hexadecimal digits.
        folder: where it is.
        format: ``v2``; an entry of another format is not read any more.
        bytes: size of all its files.
        about: model and data set by name, where they were given.
        parts: what the key was made of: hashes of weights and images, versions, device.
        images: how many.
        shards, finished: how many, and how many of them are on the ledger.
        created, used: seconds since the epoch; used is the last time it was read or written.
        busy: another process holds its lock.
    """

    key: str
    folder: Path
    format: str
    bytes: int
    about: dict[str, str]
    parts: dict[str, Any]
    images: int
    shards: int
    finished: int
    created: float
    used: float
    busy: bool

    @property
    def current(self) -> bool:
        """Whether this version of the package reads it."""
        return self.format == CACHE_VERSION


def entries(cache: MapsCache) -> list[Entry]:
    """All entries, the one used last first, those of older formats at the end."""
    found = [_entry(folder) for folder in _folders(cache)]
    return sorted(found, key=lambda entry: (not entry.current, -entry.used))


def verify(entry: Entry) -> dict[int, str] | None:
    """Read all of an entry against its checksums.

    Returns:
        Shard number (from 0) -> what is wrong with it; -1 stands for the entry as a whole. None for an entry
        that another process is working on.
    """
    with ExitStack() as stack:
        if not _claim(entry.folder, stack):
            return None
        store = open_store(entry.folder)
        if store is None:
            return {-1: f"{META} is missing, damaged or of another format"}
        return store.finished(trust=False)[1]


def prune(cache: MapsCache, keep: Path | None = None) -> list[Entry]:
    """Remove the entries used longest ago until the cache is below its limit.

    Entries of older formats go first, and all of them where there is nothing to ``keep``. What another
    process has locked stays.

    Returns:
        What was removed.
    """
    found = entries(cache)
    total = sum(entry.bytes for entry in found)
    removed = []
    for entry in reversed(found):
        useless = not entry.current and keep is None
        if entry.folder == keep or not (useless or total > cache.limit_gb * 1e9):
            continue
        with ExitStack() as stack:
            if _claim(entry.folder, stack):
                shutil.rmtree(entry.folder, ignore_errors=True)
                total -= entry.bytes
                removed.append(entry)
    return removed


def _folders(cache: MapsCache) -> Iterator[Path]:
    for version in sorted(cache.folder.glob("v[0-9]*")):
        yield from (path for path in sorted(version.iterdir()) if path.is_dir())


def _entry(folder: Path) -> Entry:
    meta = read_meta(folder) or {}
    images, shard_images = meta.get("images", 0), meta.get("shard_images", 1)
    try:
        used = (folder / META).stat().st_mtime
    except OSError:
        used = 0.0
    with ExitStack() as stack:
        busy = not _claim(folder, stack)
    return Entry(
        key=folder.name,
        folder=folder,
        format=folder.parent.name,
        bytes=folder_bytes(folder),
        about=meta.get("about", {}),
        parts=meta.get("key", {}),
        images=images,
        shards=-(-images // shard_images),
        finished=ledger_length(folder),
        created=meta.get("created", 0.0),
        used=used,
        busy=busy,
    )


def _claim(folder: Path, stack: ExitStack) -> bool:
    """Take the locks of an entry and of its analyses, those that are there; False where one is taken.

    The locks are held until the stack closes. Lock files stay: another process may be waiting at one.
    """
    locks = [folder.with_name(f"{folder.name}.lock"), *folder.glob("*.lock")]
    for path in locks:
        if not path.exists():
            continue
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            return False
        stack.callback(lock.release)
    return True
