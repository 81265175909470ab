"""The JSON files of an entry of the cache: typed, signed, and bound to the key they are kept under.

Readers give None for a file that is not exactly what this module writes under the name its key gives.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from ..io import arrays as files
from ..io.errors import InputError
from ..io.files import make_way, read_small, remove, write_atomically
from .shards import FORMAT, LEDGER, META, Layout, ShardStore

CACHE_VERSION = f"v{FORMAT}"
LARGEST = 64 << 20  # bytes of a JSON file in the cache; one of a million images has 13 MB
ARRAY = "of/"  # before the name of an analysis' array

Found = tuple[dict[str, Any], dict[str, np.ndarray]]  # a JSON-able result and its arrays
Name = Annotated[str, msgspec.Meta(pattern="^[A-Za-z][A-Za-z_]{0,63}$")]
Count = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
Rows = dict[Name, tuple[Count, ...]]


class EntryMeta(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``meta.json``: the key whose hash is the entry's name, who it is about, and its :class:`Layout`."""

    key: dict[str, Any]
    about: dict[str, str]
    created: float
    shard_images: Count
    images: Count
    per_image: Rows
    per_ablated: Rows
    ablated: list[Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]]
    absent: dict[str, str]


class KeptAnalysis(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An analysis' file: its key, what was found, and the arrays' file with its checksum."""

    key: dict[str, Any]
    result: dict[str, Any]
    arrays: dict[str, str] | None


def cache_key(parts: Mapping[str, Any]) -> str:
    """A short hash of everything a result depends on: 32 hex digits over the sorted JSON of ``parts``."""
    return hashlib.sha256(_canonical(_plain(parts)).encode()).hexdigest()[:32]


def create_store(
    entry: Path, parts: Mapping[str, Any], layout: Layout, shard_images: int, about: Mapping[str, str]
) -> ShardStore:
    """An entry without shards in the place of whatever is there; ``OSError`` where there is no room."""
    meta = EntryMeta(
        key=_plain(parts),
        about=dict(about),
        created=time.time(),
        shard_images=shard_images,
        images=layout.images,
        per_image=layout.per_image,
        per_ablated=layout.per_ablated,
        ablated=layout.ablated.tolist(),
        absent=layout.absent,
    )
    store = ShardStore(entry, layout, shard_images)
    remove(entry)
    store.allocate()
    _write_signed(entry / META, meta)
    return store


def open_store(entry: Path) -> ShardStore | None:
    """The files of an entry's folder, or None where ``meta.json`` is not what this version writes there."""
    meta = read_meta(entry)
    if meta is None or (entry / LEDGER).is_symlink():
        return None
    ablated = np.array(meta.ablated, np.int64)
    if (np.diff(ablated) <= 0).any() or (len(ablated) and ablated[-1] >= meta.images):
        return None
    layout = Layout(meta.images, meta.per_image, ablated, meta.per_ablated, meta.absent)
    return ShardStore(entry, layout, meta.shard_images)


def read_meta(entry: Path) -> EntryMeta | None:
    """What an entry's ``meta.json`` says, or None where it is damaged or of another entry."""
    meta = None if entry.is_symlink() else _read_signed(entry / META, EntryMeta)
    return meta if meta is not None and cache_key(meta.key) == entry.name else None


def ledger_length(entry: Path) -> int:
    """Shards an entry has on its ledger, unverified."""
    return sum(1 for _ in (entry / LEDGER).glob("*.json"))


def is_analysis(path: Path) -> bool:
    """Whether a file of an entry is an analysis' or its arrays'; its lock is not."""
    return path.name.startswith("analysis-") and path.suffix in (".json", ".npz")


def write_analysis(path: Path, parts: Mapping[str, Any], found: Found) -> Found:
    """Keep a result as JSON and its arrays beside it; gives what a later reading gives."""
    result, found_arrays = _plain(found[0]), found[1]
    kept = {ARRAY + name: array for name, array in found_arrays.items()}
    beside = path.with_suffix(".npz")
    make_way(path)
    make_way(beside)
    described = files.write(beside, kept) if kept else None
    _write_signed(path, KeptAnalysis(_plain(parts), result, described))
    return result, found_arrays


def read_analysis(path: Path) -> Found | None:
    """The result and its arrays, or None where they are damaged or another analysis'."""
    kept, beside = _read_signed(path, KeptAnalysis), path.with_suffix(".npz")
    if kept is None or f"analysis-{cache_key(kept.key)}.json" != path.name:
        return None
    if kept.arrays is None:
        return kept.result, {}
    try:
        arrays = files.read(beside)
        same = files.describe(beside) == kept.arrays
    except (InputError, OSError):
        return None
    return (
        (kept.result, {name.removeprefix(ARRAY): array for name, array in arrays.items()}) if same else None
    )


def _canonical(parts: Any) -> str:
    return json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)


def _plain(parts: Mapping[str, Any]) -> dict[str, Any]:
    """What JSON gives back of it."""
    return json.loads(json.dumps(parts, default=str))


def _signature(content: Any) -> str:
    return hashlib.sha256(_canonical(content).encode()).hexdigest()


Kind = TypeVar("Kind", EntryMeta, KeptAnalysis)


def _write_signed(path: Path, content: EntryMeta | KeptAnalysis) -> None:
    """Write JSON with a checksum of itself, atomically."""
    plain = msgspec.structs.asdict(content)
    signed = {"sha256": _signature(plain), **plain}
    write_atomically(path, lambda name: Path(name).write_text(json.dumps(signed, indent=1)))


def _read_signed(path: Path, kind: type[Kind]) -> Kind | None:
    """The content, or None where the file is absent, damaged or not ours."""
    try:
        content = json.loads(read_small(path, "cache file", LARGEST))
        digest = content.pop("sha256")
        return msgspec.convert(content, kind) if digest == _signature(content) else None
    except (InputError, LookupError, TypeError, ValueError, AttributeError, RecursionError):
        return None  # a ValidationError of msgspec is a ValueError
