"""The cache of maps: computed once for a model, an image set and a way of running, then read.

An entry is a folder of arrays that are filled shard by shard (see shards.py) and ``meta.json``, which says
what they are of. A lock file beside it lets one process extract while others wait; the system takes the
lock from a process that dies, and the next one goes on from its last finished shard. Analyses of the maps
are kept in the same folder under keys of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from ..io import arrays as files
from ..io.errors import InputError
from ..io.writing import write_atomically
from .maps import Maps
from .shards import FORMAT, LEDGER, META, SHARD_IMAGES, Layout, Shard, ShardStore

CACHE_VERSION = f"v{FORMAT}"
DEFAULT_LIMIT_GB = 10.0
Found = tuple[dict[str, Any], dict[str, np.ndarray]]  # a JSON-able result and its arrays
ARRAY = "of/"  # before the name of an analysis' array
PATIENCE = 0.5  # seconds before a process says that it waits for another


def default_folder() -> Path:
    """The user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("geolip-theorems"))


def cache_key(parts: Mapping[str, Any]) -> str:
    """A short hash of everything a result depends on: 32 hex digits over the sorted JSON of ``parts``."""
    return hashlib.sha256(_canonical(parts).encode()).hexdigest()[:32]


class Source(Protocol):
    """What fills an entry: an extraction, see extract.py."""

    def layout(self) -> Layout:
        """The shape of the arrays."""

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[Shard, dict[str, np.ndarray]]]:
        """The rows of each shard, in any order."""

    def maps(self, arrays: Mapping[str, np.ndarray], absent: Mapping[str, str]) -> Maps:
        """The maps that whole arrays are of; ``absent``: why others are missing, see :class:`Layout`."""


class Reading(NamedTuple):
    """Maps from the cache, arrays memory-mapped; the entry's folder; how many shards were computed now."""

    maps: Maps
    entry: Path
    shards: int
    computed: int


@dataclass(frozen=True)
class MapsCache:
    """A folder of maps.

    Attributes:
        folder: where it is; made when first needed.
        limit_gb: entries used longest ago are removed after a write takes it above this size (10^9 bytes).
        fresh_after: compute again what was written before this time (seconds since the epoch).
        say: called with one line of news (waiting, redoing a damaged shard).
        shard_images: images a shard of new entries; no figure depends on it.
        temporary: the folder goes with the run, and an interrupted extraction says so.
    """

    folder: Path
    limit_gb: float = DEFAULT_LIMIT_GB
    fresh_after: float = 0.0
    say: Callable[[str], None] = lambda line: None
    shard_images: int = SHARD_IMAGES
    temporary: bool = False

    def maps(
        self, parts: Mapping[str, Any], source: Source, about: Mapping[str, str] | None = None
    ) -> Reading:
        """The maps under a key; what of them is not there, or damaged, is computed.

        Args:
            parts: everything the maps depend on.
            source: computes shards.
            about: for people: what ``geolip-theorems cache`` shows of the entry.

        Raises:
            InputError: the folder cannot be written, or the disk is full.
        """
        entry = self.folder / CACHE_VERSION / cache_key(parts)
        with self._locked(entry):
            store = self._open(entry)
            if store is None:
                store = self._create(entry, parts, source, about or {})
            todo = self._unfinished(store)
            if todo:
                self._fill(store, source, todo)
            os.utime(entry / META)
        if todo:
            self._make_room(entry)
        return Reading(source.maps(store.arrays(), store.layout.absent), entry, len(store.shards), len(todo))

    def analysis(self, entry: Path, parts: Mapping[str, Any], compute: Callable[[], Found]) -> Found:
        """What was computed from an entry's maps, kept beside them under a key of its own."""
        path = entry / f"analysis-{cache_key(parts)}.json"
        with self._locked(path):
            if path.exists() and path.stat().st_mtime >= self.fresh_after:
                found = _read_analysis(path)
                if found is not None:
                    return found
                self.say(f"analysis {path.name} in the cache is damaged; doing it again")
            try:
                return _write_analysis(path, compute())
            except OSError as error:
                raise unwritable(self.folder, error) from None

    def _unfinished(self, store: ShardStore) -> list[Shard]:
        done, damaged = store.finished(self.fresh_after)
        count = len(store.shards)
        for number, fault in sorted(damaged.items()):
            self.say(f"cache: shard {number + 1} of {count} is damaged ({fault}); extracting it again")
        if done and len(done) + len(damaged) < count:
            self.say(f"cache: {len(done)} of {count} shards are there; going on with the others")
        return [shard for shard in store.shards if shard.number not in done]

    def _fill(self, store: ShardStore, source: Source, todo: Sequence[Shard]) -> None:
        try:
            store.allocate()
        except OSError as error:
            raise unwritable(self.folder, error) from None
        count, left = len(store.shards), len(todo)
        try:
            with closing(source.run(todo)) as flow:
                for shard, arrays in flow:
                    self._write(store, shard, arrays)
                    left -= 1
        except KeyboardInterrupt:
            kept = f"{count - left} of {count} shards are kept: the same command goes on from there"
            nothing = "nothing is kept, as the cache is a temporary one (--no-cache)"
            self.say(f"interrupted; {nothing if self.temporary else kept}")
            raise

    def _write(self, store: ShardStore, shard: Shard, arrays: Mapping[str, np.ndarray]) -> None:
        try:
            store.write(shard, arrays)
        except OSError as error:
            raise unwritable(self.folder, error) from None

    @contextmanager
    def _locked(self, path: Path) -> Iterator[None]:
        """Hold the lock of an entry or a file; the system releases it when the process dies."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{path}.lock")
            try:
                lock.acquire(timeout=PATIENCE)
            except Timeout:
                self.say("another process is computing the same; waiting for it")
                lock.acquire()
        except OSError as error:
            raise unwritable(self.folder, error) from None
        try:
            yield
        finally:
            lock.release()

    def _open(self, entry: Path) -> ShardStore | None:
        """The entry's files; None where it is absent or nobody can say any more what it holds."""
        if not (entry / META).exists():
            return None
        store = open_store(entry)
        if store is None:
            self.say(f"cache entry {entry.name} is damaged ({META}); extracting again")
        return store

    def _create(
        self, entry: Path, parts: Mapping[str, Any], source: Source, about: Mapping[str, str]
    ) -> ShardStore:
        layout = source.layout()
        store = ShardStore(entry, layout, self.shard_images)
        meta = {
            "format": FORMAT,
            "key": json.loads(_canonical(parts)),
            "about": dict(about),
            "created": time.time(),
            "shard_images": self.shard_images,
            "images": layout.images,
            "per_image": layout.per_image,
            "per_ablated": layout.per_ablated,
            "ablated": layout.ablated.tolist(),
            "absent": layout.absent,
        }
        try:
            shutil.rmtree(entry, ignore_errors=True)
            store.allocate()
            _write_signed(entry / META, meta)
        except OSError as error:
            shutil.rmtree(entry, ignore_errors=True)
            raise unwritable(self.folder, error) from None
        return store

    def _make_room(self, keep: Path) -> None:
        from .housekeeping import prune  # it needs this module

        prune(self, keep=keep)


def open_store(entry: Path) -> ShardStore | None:
    """The files of an entry's folder, or None where its ``meta.json`` is absent, old or damaged."""
    meta = _read_signed(entry / META)
    try:
        if meta is None or meta["format"] != FORMAT:
            return None
        shapes = [{k: tuple(v) for k, v in meta[part].items()} for part in ("per_image", "per_ablated")]
        # An entry without "absent" is of a version that knew only models with every signal.
        ablated, absent = np.array(meta["ablated"], np.int64), dict(meta.get("absent", {}))
        layout = Layout(meta["images"], shapes[0], ablated, shapes[1], absent)
        return ShardStore(entry, layout, meta["shard_images"])
    except (KeyError, TypeError, ValueError):
        return None


def read_meta(entry: Path) -> dict[str, Any] | None:
    """What an entry's ``meta.json`` says, or None where it cannot be read."""
    return _read_signed(entry / META)


def ledger_length(entry: Path) -> int:
    """Shards an entry has on its ledger, unverified."""
    return sum(1 for _ in (entry / LEDGER).glob("*.json"))


def _write_analysis(path: Path, found: Found) -> Found:
    """Keep a result as JSON and its arrays beside it; gives what a later reading gives."""
    result, found_arrays = json.loads(json.dumps(found[0])), found[1]
    kept = {ARRAY + name: array for name, array in found_arrays.items()}
    described = files.write(path.with_suffix(".npz"), kept) if kept else None
    _write_signed(path, {"result": result, "arrays": described})
    return result, found_arrays


def _read_analysis(path: Path) -> Found | None:
    """The result and its arrays, or None where they are damaged."""
    content = _read_signed(path)
    try:
        if content is None or content["arrays"] is None:
            return None if content is None else (content["result"], {})
        kept = files.read(path.with_suffix(".npz"))
        if files.describe(path.with_suffix(".npz")) != content["arrays"]:
            return None
        return content["result"], {name.removeprefix(ARRAY): array for name, array in kept.items()}
    except (InputError, KeyError, TypeError):
        return None


def _canonical(parts: Mapping[str, Any]) -> str:
    return json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)


def _write_signed(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with a checksum of itself, atomically."""
    signed = {"sha256": hashlib.sha256(_canonical(content).encode()).hexdigest(), **content}
    write_atomically(path, lambda name: Path(name).write_text(json.dumps(signed, indent=1)))


def _read_signed(path: Path) -> dict[str, Any] | None:
    """The JSON, or None where it is absent, damaged or not ours."""
    try:
        content = json.loads(path.read_text())
        digest = content.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return content if digest == hashlib.sha256(_canonical(content).encode()).hexdigest() else None


def unwritable(folder: Path, error: OSError) -> InputError:
    """The one line for a cache that cannot be written."""
    return InputError(
        f"cache folder {str(folder)!r} cannot be written ({error.strerror}); "
        "give another --cache-dir, make room, or use --no-cache"
    )
