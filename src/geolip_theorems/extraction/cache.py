"""The cache of maps: computed once for a model, an image set and a way of running, then read.

An entry is a folder with one ``.npy`` file an array and ``meta.json``, written under another name and
moved into place, so an entry is whole or absent. A lock file beside it lets one process extract while
others wait. Analyses of the maps are kept in the same folder under keys of their own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from ..errors import InputError
from ..model.reading import file_sha256
from ..model.writing import write_atomically
from .maps import ABLATED, Maps

CACHE_VERSION = "v1"
DEFAULT_LIMIT_GB = 10.0
META = "meta.json"


def default_folder() -> Path:
    """The user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("geolip-theorems"))


def cache_key(parts: Mapping[str, Any]) -> str:
    """A short hash of everything a result depends on: 32 hex digits over the sorted JSON of ``parts``."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class MapsCache:
    """A folder of maps.

    Attributes:
        folder: where it is; made when first needed.
        limit_gb: entries used longest ago are removed after a write takes it above this size (10^9 bytes).
        fresh_after: compute again what was written before this time (seconds since the epoch).
        say: called with one line of news (waiting, redoing a damaged entry).
    """

    folder: Path
    limit_gb: float = DEFAULT_LIMIT_GB
    fresh_after: float = 0.0
    say: Callable[[str], None] = lambda line: None

    def maps(self, parts: Mapping[str, Any], compute: Callable[[], Maps]) -> tuple[Maps, Path, bool]:
        """The maps under a key, computed if they are not there.

        Args:
            parts: everything the maps depend on.
            compute: makes them.

        Returns:
            The maps (arrays memory-mapped), the entry's folder and whether they were computed now.

        Raises:
            InputError: the folder cannot be written.
        """
        entry = self.folder / CACHE_VERSION / cache_key(parts)
        with self._lock(entry):
            found = self._read(entry)
            if found is not None:
                os.utime(entry / META)
                return found, entry, False
            begun = time.monotonic()
            maps = compute()
            self._write(entry, maps, parts, time.monotonic() - begun)
        self._prune(keep=entry)
        return self._read(entry) or maps, entry, True

    def analysis(self, entry: Path, parts: Mapping[str, Any], compute: Callable[[], dict]) -> dict:
        """A JSON-able result computed from an entry's maps, kept beside them under a key of its own."""
        path = entry / f"analysis-{cache_key(parts)}.json"
        with self._lock(path):
            if path.exists() and path.stat().st_mtime >= self.fresh_after:
                try:
                    return json.loads(path.read_text())
                except ValueError:
                    self.say(f"analysis {path.name} in the cache is damaged; doing it again")
            text = json.dumps(compute(), indent=1)
            try:
                write_atomically(path, lambda name: Path(name).write_text(text))
            except OSError as error:
                raise _unwritable(self.folder, error) from None
            return json.loads(text)

    def _lock(self, path: Path) -> FileLock:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(str(path) + ".lock")
            try:
                lock.acquire(timeout=0.5)
            except Timeout:
                self.say("another process is computing the same; waiting for it")
                lock.acquire()
            return lock
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def _read(self, entry: Path) -> Maps | None:
        """The entry's maps, or None where it is absent or damaged (then it is removed)."""
        if not (entry / META).exists():
            return None
        try:
            meta = json.loads((entry / META).read_text())
            if meta["written"] < self.fresh_after:
                return None
            for name, digest in meta["sha256"].items():
                if file_sha256(entry / f"{name}.npy") != digest:
                    raise ValueError(f"{name}.npy has another checksum")
            arrays = {
                name: np.load(entry / f"{name}.npy", mmap_mode="r", allow_pickle=False)
                for name in meta["sha256"]
            }
            absent = dict.fromkeys(ABLATED)
            classes = tuple(meta["classes"]) if meta["classes"] is not None else None
            return Maps(**{**absent, **arrays}, classes=classes, patch_pixels=meta["patch_pixels"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.say(f"cache entry {entry.name} is damaged ({error}); extracting again")
            shutil.rmtree(entry, ignore_errors=True)
            return None

    def _write(self, entry: Path, maps: Maps, parts: Mapping[str, Any], seconds: float) -> None:
        unfinished = entry.with_name(f".{entry.name}.{os.getpid()}")
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            for name, array in maps.arrays().items():
                np.save(unfinished / f"{name}.npy", np.ascontiguousarray(array), allow_pickle=False)
            meta = {
                "key": dict(parts),
                "classes": maps.classes,
                "patch_pixels": maps.patch_pixels,
                "sha256": {name: file_sha256(unfinished / f"{name}.npy") for name in maps.arrays()},
                "written": time.time(),
                "seconds": round(seconds, 3),
            }
            (unfinished / META).write_text(json.dumps(meta, indent=1, default=str))
            shutil.rmtree(entry, ignore_errors=True)
            unfinished.rename(entry)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise _unwritable(self.folder, error) from None

    def _prune(self, keep: Path) -> None:
        """Remove the entries used longest ago until the folder is below its limit; never ``keep``."""
        entries = [meta.parent for meta in (self.folder / CACHE_VERSION).glob(f"*/{META}")]
        entries.sort(key=lambda entry: (entry / META).stat().st_mtime)
        sizes = {entry: sum(f.stat().st_size for f in entry.iterdir()) for entry in entries}
        total = sum(sizes.values())
        for entry in entries:
            if total <= self.limit_gb * 1e9:
                return
            if entry != keep:
                shutil.rmtree(entry, ignore_errors=True)
                total -= sizes[entry]


def _unwritable(folder: Path, error: OSError) -> InputError:
    return InputError(
        f"cache folder {str(folder)!r} cannot be written ({error.strerror}); "
        "give another --cache-dir, make room, or use --no-cache"
    )
