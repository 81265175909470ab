"""An entry of the cache on disk: one ``.npy`` file an array, and a ledger of the shards that are in them.

A shard's rows are written into files that already have their full size, then its line of the ledger, with a
checksum of each array's rows, is moved into place. Rows that do not fit their checksum are done again, so a
process may be killed, and power be lost, at any moment.
"""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec
import numpy as np

from ..io.errors import InputError, printable
from ..io.files import make_way, open_plain, read_json, read_small, remove, write_atomically

FORMAT = 3
META, VERIFIED, LEDGER = "meta.json", "verified.json", "shards"
SHARD_IMAGES = 256
TRUSTED_BYTES = 4_000_000_000
READ_AT_ONCE = 1 << 22
LARGEST_LINE = 1 << 16  # bytes; a ledger line has some 2,000
DTYPE = np.dtype("<f4")


@dataclass(frozen=True)
class Layout:
    """The shape of an entry's arrays, all float32: by name, of rows per image and per ablated image.

    ``ablated``: (A,) int64 ascending. ``absent``: name -> why there is no such array.
    """

    images: int
    per_image: Mapping[str, tuple[int, ...]]
    ablated: np.ndarray
    per_ablated: Mapping[str, tuple[int, ...]]
    absent: Mapping[str, str] = field(default_factory=dict)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Whole arrays, by name."""
        shapes = {name: (self.images, *row) for name, row in self.per_image.items()}
        return shapes | {name: (len(self.ablated), *row) for name, row in self.per_ablated.items()}

    def rows(self, shard: Shard) -> dict[str, tuple[int, int]]:
        """First row of a shard and the one after its last, by name."""
        first, last = np.searchsorted(self.ablated, (shard.start, shard.stop))
        rows = dict.fromkeys(self.per_image, (shard.start, shard.stop))
        return rows | dict.fromkeys(self.per_ablated, (int(first), int(last)))


@dataclass(frozen=True, order=True)
class Shard:
    """Images start..stop-1."""

    number: int
    start: int
    stop: int


def cut(images: int, shard_images: int) -> list[Shard]:
    """All shards of so many images, the last one perhaps short."""
    starts = range(0, images, shard_images)
    return [Shard(k, start, min(start + shard_images, images)) for k, start in enumerate(starts)]


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A shard's line of the ledger: entry, images, when it was written, and each array's rows' hash."""

    entry: str
    start: int
    stop: int
    written: float
    sha256: dict[str, str]


class ShardStore:
    """The files of one entry. Links in place of its arrays are neither read nor written through."""

    def __init__(self, folder: Path, layout: Layout, shard_images: int = SHARD_IMAGES) -> None:
        self.folder = folder
        self.layout = layout
        self.shards = cut(layout.images, shard_images)
        self._shapes = layout.shapes()
        self._headers = {name: _header(shape) for name, shape in self._shapes.items()}

    @property
    def bytes(self) -> int:
        """Size of the arrays."""
        return sum(self._size(name) for name in self._shapes)

    def allocate(self) -> None:
        """Give every array's file its header and its full size, on the disk and not only on paper.

        Raises:
            OSError: there is no room, or the folder cannot be written.
        """
        ledger = self.folder / LEDGER
        if not ledger.is_dir():
            remove(ledger)
        ledger.mkdir(parents=True, exist_ok=True)
        for name, header in self._headers.items():
            make_way(self._path(name))
            with self._open(name, os.O_RDWR | os.O_CREAT) as file:
                if file.read(len(header)) != header:
                    file.seek(0)
                    file.write(header)
                _reserve(file.fileno(), self._size(name))

    def finished(self, fresh_after: float = 0.0, trust: bool = True) -> tuple[set[int], dict[int, str]]:
        """The shards that are in the files, and those that ought to be but are damaged, with what is wrong.

        Shards written before ``fresh_after`` (seconds since the epoch) do not count. Every row is hashed, 1-2
        GB/s a core; above 4 GB, with ``trust``, once for each time the files were written.
        """
        recorded, damaged = self._ledger(fresh_after)
        if not (trust and self._already_verified()):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                checked = pool.map(self._check, recorded.values(), recorded)
                faults = {number: fault for number, fault in zip(recorded, checked, strict=True) if fault}
            damaged |= faults
            if not damaged and len(recorded) == len(self.shards):
                self._remember_verified()
        return set(recorded) - set(damaged), damaged

    def write(self, shard: Shard, arrays: Mapping[str, np.ndarray]) -> None:
        """Put a shard's rows into the files, then its line into the ledger.

        Raises:
            OSError: there is no room, or the folder cannot be written.
            ValueError: an array has another shape than the layout says.
        """
        place = self._line(shard.number)
        make_way(place)
        place.unlink(missing_ok=True)
        digests = {}
        for name, (first, last) in self.layout.rows(shard).items():
            shape = (last - first, *self._shapes[name][1:])
            rows = np.ascontiguousarray(arrays[name] if last > first else np.empty(shape), DTYPE)
            if rows.shape != shape:
                raise ValueError(f"{name} of shard {shard.number} has shape {rows.shape}")
            data = memoryview(rows).cast("B") if rows.size else memoryview(b"")
            with self._open(name, os.O_RDWR) as file:
                file.seek(self._offset(name, first))
                while data:
                    data = data[file.write(data) :]
            digests[name] = hashlib.sha256(rows).hexdigest()
        line = Line(self.folder.name, shard.start, shard.stop, time.time(), digests)
        text = msgspec.json.format(msgspec.json.encode(line), indent=1)
        write_atomically(place, lambda path: Path(path).write_bytes(text))

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array whole, memory-mapped for reading; ``OSError`` where a file is gone or too short."""
        found = {}
        for name, shape in self._shapes.items():
            with self._open(name) as file:
                if os.fstat(file.fileno()).st_size < self._size(name):
                    raise FileNotFoundError(errno.ENOENT, "it is shorter than it was")
                found[name] = np.memmap(file, DTYPE, "r", self._offset(name, 0), shape)
        return found

    def digest(self) -> str:
        """SHA-256 of the whole ledger, times included: it tells these rows from all others."""
        lines = (self._line(shard.number).read_bytes() for shard in self.shards)
        return hashlib.sha256(b"\n".join(lines)).hexdigest()

    def _ledger(self, fresh_after: float) -> tuple[dict[int, Line], dict[int, str]]:
        recorded: dict[int, Line] = {}
        damaged: dict[int, str] = {}
        now = time.time()
        for shard in self.shards:
            path = self._line(shard.number)
            if not os.path.lexists(path):
                continue
            try:
                line = msgspec.json.decode(read_small(path, "ledger", LARGEST_LINE), type=Line)
            except (InputError, msgspec.MsgspecError, RecursionError, ValueError) as error:
                damaged[shard.number] = f"{path.name} cannot be read ({printable(error, 200)})"
                continue
            if (line.entry, line.start, line.stop) != (self.folder.name, shard.start, shard.stop):
                damaged[shard.number] = f"{path.name} is of other images"
            elif line.sha256.keys() != self._shapes.keys():
                damaged[shard.number] = f"{path.name} is of other arrays"
            # A shard that says it is of the future cannot be told from an old one.
            elif not fresh_after or fresh_after <= line.written <= now:
                recorded[shard.number] = line
        return recorded, damaged

    def _check(self, line: Line, number: int) -> str | None:
        """What is wrong with a shard's rows, or None."""
        for name, (first, last) in self.layout.rows(self.shards[number]).items():
            try:
                digest = self._digest(name, first, last)
            except OSError as error:
                return f"{name}.npy cannot be read ({error.strerror})"
            if digest is None:
                return f"{name}.npy is too short or has another header"
            if digest != line.sha256[name]:
                return f"{name}.npy has another checksum"
        return None

    def _digest(self, name: str, first: int, last: int) -> str | None:
        """SHA-256 of an array's rows; None where the file has not all of them or is of another shape."""
        digest = hashlib.sha256()
        with self._open(name) as file:
            if file.read(len(self._headers[name])) != self._headers[name]:
                return None
            left = self._offset(name, last) - self._offset(name, first)
            file.seek(self._offset(name, first))
            while left:
                block = file.read(min(left, READ_AT_ONCE))
                if not block:
                    return None
                digest.update(block)
                left -= len(block)
        return digest.hexdigest()

    def _already_verified(self) -> bool:
        if self.bytes <= TRUSTED_BYTES:
            return False
        try:
            return read_json(self.folder / VERIFIED, "note", LARGEST_LINE) == self._signature()
        except (OSError, InputError):
            return False

    def _remember_verified(self) -> None:
        if self.bytes > TRUSTED_BYTES:
            with suppress(OSError):  # a cache that is read only is verified each time
                text = msgspec.json.encode(self._signature())
                write_atomically(self.folder / VERIFIED, lambda path: Path(path).write_bytes(text))

    def _signature(self) -> dict[str, list[int]]:
        """What changes when a file is written: size, time of change, inode number."""
        status = {name: self._path(name).lstat() for name in self._shapes}
        return {name: [s.st_size, s.st_ctime_ns, s.st_ino] for name, s in status.items()}

    def _open(self, name: str, flags: int = os.O_RDONLY) -> BinaryIO:
        return open_plain(self._path(name), flags | os.O_NOFOLLOW)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"

    def _line(self, number: int) -> Path:
        return self.folder / LEDGER / f"{number:06d}.json"

    def _offset(self, name: str, row: int) -> int:
        return len(self._headers[name]) + row * math.prod(self._shapes[name][1:]) * DTYPE.itemsize

    def _size(self, name: str) -> int:
        return self._offset(name, self._shapes[name][0])


def _header(shape: tuple[int, ...]) -> bytes:
    stream = io.BytesIO()
    description = {"descr": DTYPE.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, description)
    return stream.getvalue()


def _reserve(handle: int, size: int) -> None:
    """Make a file exactly ``size`` bytes long and see to it that the disk has them, else ``OSError``."""
    there = os.fstat(handle).st_size
    if there > size:
        os.ftruncate(handle, size)
    if there >= size:
        return
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(handle, 0, size)
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    # No way to reserve room here: a full disk is found when the rows are written.
    os.ftruncate(handle, size)


def folder_bytes(folder: Path) -> int:
    """Size of all files below a folder; files that go away meanwhile count as none."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except OSError:
            continue
    return total
