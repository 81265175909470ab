"""The cache of maps: computed once for a model, an image set and a way of running, then read.

An entry is a folder of arrays filled shard by shard, ``meta.json`` and the analyses of the maps. A lock lets
one process extract while others wait. Damage is news, never an error: what is damaged is made again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import platformdirs
from filelock import FileLock, Timeout

from ..io.errors import InputError
from ..io.files import make_way, remove
from . import DEFAULT_LIMIT_GB
from .entry import (
    CACHE_VERSION,
    Found,
    cache_key,
    create_store,
    is_analysis,
    open_store,
    read_analysis,
    write_analysis,
)
from .housekeeping import prune
from .maps import Maps
from .shards import META, SHARD_IMAGES, Shard, ShardStore

if TYPE_CHECKING:  # with torch
    from .extract import Extraction

WRITINGS = 2  # of rows, where what was written reads back as something else
PATIENCE = 0.5  # seconds before a process says that it waits for another


class GoneError(Exception):
    """A file of the cache went away while it was used."""


def default_folder() -> Path:
    """The user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("geolip-theorems"))


class Reading(NamedTuple):
    """Memory-mapped maps, their folder, the digest of its ledger, and how many shards were computed."""

    maps: Maps
    entry: Path
    digest: str
    shards: int
    computed: int


@dataclass(frozen=True)
class MapsCache:
    """A folder of maps, made when first needed.

    Attributes:
        limit_gb: entries used longest ago are removed after a write takes it above this size (10^9 bytes).
        fresh_after: compute again what was written before this time (seconds since the epoch).
        say: called with one line of news (waiting, redoing a damaged shard).
        shard_images: images per shard of new entries; no figure depends on it.
        temporary: the folder goes with the run, and an interrupted extraction says so.
    """

    folder: Path
    limit_gb: float = DEFAULT_LIMIT_GB
    fresh_after: float = 0.0
    say: Callable[[str], None] = lambda line: None
    shard_images: int = SHARD_IMAGES
    temporary: bool = False

    def maps(
        self, parts: Mapping[str, Any], source: Extraction, about: Mapping[str, str] | None = None
    ) -> Reading:
        """The maps under a key of everything they depend on; ``about`` is for people.

        Raises:
            InputError: the folder cannot be written, or the disk is full.
        """
        entry = self.folder / CACHE_VERSION / cache_key(parts)
        for last in (False, True):
            try:
                found = self._reading(entry, parts, source, about or {})
                break
            except GoneError as error:
                if last:
                    raise unwritable(self.folder, str(error)) from None
                self.say(f"cache entry {entry.name} was removed meanwhile; extracting again")
        if found.computed:
            prune(self, keep=entry)
        return found

    def analysis(self, of: Reading, parts: Mapping[str, Any], compute: Callable[[], Found]) -> Found:
        """What was computed from maps of the cache, kept beside them under a key of its own."""
        parts = {**parts, "maps": of.digest}
        path = of.entry / f"analysis-{cache_key(parts)}.json"
        if not os.path.lexists(of.entry / META):
            return compute()  # the entry was removed; its maps are open, so they can be measured, not kept
        with self._locked(path):
            if os.path.lexists(path):
                found = read_analysis(path)
                if found is not None:
                    return found
                self.say(f"analysis {path.name} in the cache is damaged; doing it again")
            found = compute()
            try:
                with self._using():
                    return write_analysis(path, parts, found)
            except GoneError:
                return found

    def _reading(
        self, entry: Path, parts: Mapping[str, Any], source: Extraction, about: Mapping[str, str]
    ) -> Reading:
        """The maps, opened while the entry is locked, verified after the last shard was written."""
        computed = 0
        with self._locked(entry):
            store = self._store(entry, parts, source, about)
            for attempt in range(WRITINGS + 1):
                todo = self._unfinished(store)
                if not todo:
                    break
                if attempt == WRITINGS:
                    raise InputError(
                        f"cache folder {str(self.folder)!r} gives back other bytes than were written; the "
                        "disk may be failing: give another --cache-dir, or use --no-cache"
                    )
                self._fill(store, source, todo)
                computed = max(computed, len(todo))
            with self._using():
                os.utime(entry / META)
                arrays, digest = store.arrays(), store.digest()
        maps = source.maps(arrays, store.layout.absent)
        return Reading(maps, entry, digest, len(store.shards), computed)

    def _unfinished(self, store: ShardStore) -> list[Shard]:
        done, damaged = store.finished(self.fresh_after)
        count = len(store.shards)
        for number, fault in sorted(damaged.items()):
            self.say(f"cache: shard {number + 1} of {count} is damaged ({fault}); extracting it again")
        if done and len(done) + len(damaged) < count:
            self.say(f"cache: {len(done)} of {count} shards are there; going on with the others")
        return [shard for shard in store.shards if shard.number not in done]

    def _fill(self, store: ShardStore, source: Extraction, todo: Sequence[Shard]) -> None:
        with self._using():
            store.allocate()
        for path in filter(is_analysis, store.folder.iterdir()):  # of the rows that are replaced
            remove(path)
        count, left = len(store.shards), len(todo)
        try:
            with closing(source.run(todo)) as flow:
                for shard, arrays in flow:
                    with self._using():
                        store.write(shard, arrays)
                    left -= 1
        except KeyboardInterrupt:
            kept = f"{count - left} of {count} shards are kept: the same command goes on from there"
            if self.temporary:
                kept = "nothing is kept, as the cache is a temporary one (--no-cache)"
            elif left == count:
                kept = "no shard was finished, so nothing is kept"
            self.say(f"interrupted; {kept}")
            raise

    @contextmanager
    def _using(self) -> Iterator[None]:
        """Files of the cache are read or written: a missing one is GoneError, other trouble InputError."""
        try:
            yield
        except FileNotFoundError as error:
            raise GoneError(error.strerror) from None
        except OSError as error:
            raise unwritable(self.folder, error.strerror) from None

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Hold the lock of an entry or a file; the system releases it when the process dies."""
        with self._using():
            path.parent.mkdir(parents=True, exist_ok=True)
            place = path.with_name(f"{path.name}.lock")
            make_way(place)
            lock = FileLock(place)
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                self.say("another process is computing the same; waiting for it")
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _store(
        self, entry: Path, parts: Mapping[str, Any], source: Extraction, about: Mapping[str, str]
    ) -> ShardStore:
        """The entry's files; new ones where it is absent or nobody can say any more what it holds."""
        if os.path.lexists(entry / META):
            store = open_store(entry)
            if store is not None and source.fits(store.layout):
                return store
            self.say(f"cache entry {entry.name} is damaged ({META}); extracting again")
        layout = source.layout()
        try:
            with self._using():
                return create_store(entry, parts, layout, self.shard_images, about)
        except InputError:
            remove(entry)
            raise


def unwritable(folder: Path, reason: str) -> InputError:
    """The one line for a cache that cannot be written."""
    return InputError(
        f"cache folder {str(folder)!r} cannot be written ({reason}); "
        "give another --cache-dir, make room, or use --no-cache"
    )
