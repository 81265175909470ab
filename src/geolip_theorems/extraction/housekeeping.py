"""Looking after the cache: what is in it, whether it is whole, and making room."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ..io.files import remove
from ..io.text import clean
from .entry import CACHE_VERSION, ledger_length, open_store, read_meta
from .shards import META, folder_bytes

if TYPE_CHECKING:
    from .cache import MapsCache


@dataclass(frozen=True)
class Entry:
    """One entry of the cache, as ``geolip-theorems cache`` lists it.

    Attributes:
        key, parts: its name, and what that is the hash of.
        format: ``v3``; an entry of another format is not read any more.
        bytes: size of all its files.
        about: model and data set by name, where they were given, printable.
        finished: shards that are on the ledger.
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
    """Read all of an entry against its checksums: shard number, from 0 -> what is wrong with it.

    -1 stands for the entry as a whole. None for an entry that another process is working on.
    """
    with ExitStack() as stack:
        try:
            _claim(entry.folder, stack)
        except Timeout:
            return None
        except OSError:
            pass  # a cache that cannot be written has no writers to keep out
        store = open_store(entry.folder)
        if store is None:
            return {-1: f"{META} is missing, damaged or of another format"}
        return store.finished(trust=False)[1]


def prune(cache: MapsCache, keep: Path | None = None) -> list[Entry]:
    """Remove the entries used longest ago until the cache is below its limit; gives what was removed.

    Entries of older formats go first, and all of them with nothing to ``keep``. What is locked stays.
    """
    found = entries(cache)
    total = sum(entry.bytes for entry in found)
    removed = []
    for entry in reversed(found):
        useless = not entry.current and keep is None
        if entry.folder == keep or not (useless or total > cache.limit_gb * 1e9):
            continue
        with ExitStack() as stack, suppress(OSError):
            _claim(entry.folder, stack)
            remove(entry.folder)
            if not entry.folder.exists():
                total -= entry.bytes
                removed.append(entry)
    return removed


def _folders(cache: MapsCache) -> Iterator[Path]:
    """The entries' folders; none behind a link, and none that goes away or cannot be read meanwhile."""
    for version in sorted(cache.folder.glob("v[0-9]*")):
        with suppress(OSError), os.scandir(version) as found:
            yield from sorted(Path(item.path) for item in found if item.is_dir(follow_symlinks=False))


def _entry(folder: Path) -> Entry:
    meta = read_meta(folder)
    try:
        used = (folder / META).stat().st_mtime
    except OSError:
        used = 0.0
    busy = False
    with ExitStack() as stack, suppress(OSError):
        try:
            _claim(folder, stack)
        except Timeout:
            busy = True
    return Entry(
        key=folder.name,
        folder=folder,
        format=folder.parent.name,
        bytes=folder_bytes(folder),
        about=clean(meta.about) if meta else {},
        parts=meta.key if meta else {},
        images=meta.images if meta else 0,
        shards=-(-meta.images // meta.shard_images) if meta else 0,
        finished=ledger_length(folder),
        created=meta.created if meta else 0.0,
        used=used,
        busy=busy,
    )


def _claim(folder: Path, stack: ExitStack) -> None:
    """Take the locks of an entry and of its analyses until the stack closes; the files stay.

    Raises:
        Timeout: another process holds one. OSError: one cannot be opened.
    """
    locks = [folder.with_name(f"{folder.name}.lock"), *folder.glob("*.lock")]
    for path in filter(Path.is_file, locks):
        lock = FileLock(path)
        lock.acquire(timeout=0)
        stack.callback(lock.release)
