"""The public checkpoint format, what ``torch.save`` writes, read without torch's loader.

A ``.pt`` file is a pickle and the bytes of the tensors it refers to: members of a zip archive since torch
1.6, behind the pickle in one file before. The pickle is first checked (:mod:`geolip_theorems.io.pickles`) and
then read by an unpickler that makes dictionaries, lists, tuples, text, numbers, and descriptions of tensors.
A tensor is made only once its description is found to fit the bytes that are there: a reader that allocates
what a file claims, or takes a view beyond what it holds, is a hole of its own.
"""

from __future__ import annotations

import io
import math
import pickle
import re
import struct
import tarfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

from ..io.arrays import DamagedArchiveError, open_archive
from ..io.errors import printable
from ..io.pickles import Latin1, NotPlainError, check_pickle

LARGEST_PICKLE = 16 << 20  # bytes; that of a checkpoint with optimiser state has some 100 kB
MOST_DIMENSIONS = 16
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}
_DTYPES = {str(dtype) for dtype in _STORAGES.values()}
_STRUCT_CODES = {
    "f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
    "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?",
}  # fmt: skip


class UnreadableError(ValueError):
    """The file is damaged or no checkpoint; the message says how."""


class ForbiddenError(ValueError):
    """The file names something other than data; the message says what."""


class Storage(NamedTuple):
    """Bytes a pickle refers to: under ``key``, ``count`` values of ``dtype``, as far as the pickle says."""

    key: Any
    dtype: Any
    count: Any


class StoredTensor(NamedTuple):
    """A tensor as the pickle describes it: nothing in it has been checked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


class Pickled(NamedTuple):
    """What a file holds: ``content`` with a :class:`StoredTensor` for each tensor, and how to get one."""

    content: Any
    tensor: Callable[[StoredTensor], Tensor]


def read_pickled(file: BinaryIO) -> Pickled:
    """Read the archive or the older single-file format; the file must stay open while tensors are taken.

    Raises:
        UnreadableError: damaged, or neither format.
        ForbiddenError: a pickle in it names something that is not data, or has instructions data never needs.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(4)
    if head == b"PK\x03\x04":
        return _read_archive(file, size)
    if head[:1] != b"\x80":
        raise UnreadableError("it begins with neither an archive's nor a pickle's first bytes")
    return _read_legacy(file, size)


def _read_archive(file: BinaryIO, size: int) -> Pickled:
    try:
        archive = open_archive(file)
    except DamagedArchiveError as error:
        raise UnreadableError(str(error)) from None
    members = {member.filename: member for member in archive.infolist()}
    # torch writes its members uncompressed: what unpacks to more than the file weighs is a bomb.
    if sum(member.file_size for member in members.values()) > size or any(
        member.compress_type for member in members.values()
    ):
        raise UnreadableError("it is a compressed archive, and torch.save writes uncompressed ones")

    def read(name: str, largest: int) -> bytearray:
        if name not in members:
            raise UnreadableError(f"it has no member {printable(name, 80)!r}")
        if members[name].file_size > largest:
            raise UnreadableError(f"its member {printable(name, 80)!r} is larger than {largest:,} bytes")
        content = bytearray(members[name].file_size)
        with _damage(), archive.open(name) as stream:
            got = stream.readinto(content)
            if got != len(content) or stream.read(1):  # reading on to the end checks the checksum
                raise UnreadableError(f"its member {printable(name, 80)!r} is not as long as it claims")
        return content

    roots = [name[: -len("data.pkl")] for name in members if re.fullmatch(r"[^/]*/data\.pkl", name)]
    if len(roots) != 1:
        raise UnreadableError(f"it holds {len(roots)} members NAME/data.pkl, and torch.save writes one")
    if roots[0] + "byteorder" in members and read(roots[0] + "byteorder", 16) != b"little":
        raise UnreadableError("its numbers are big-endian; save it again on an ordinary machine")
    unpickler = _unpickle(io.BytesIO(read(roots[0] + "data.pkl", LARGEST_PICKLE)))

    def stored(storage: Storage) -> bytearray:
        return read(f"{roots[0]}data/{storage.key}", size)

    return Pickled(unpickler.content, _Tensors(stored, size))


def _read_legacy(file: BinaryIO, size: int) -> Pickled:
    """Five pickles (magic number, version, machine, content, keys), then each key's count and bytes."""
    file.seek(0)
    stream = io.BytesIO(file.read(LARGEST_PICKLE))
    if _is_tar(stream.getbuffer()[:512]):  # the format before that; other readers would unpack it to disk
        raise UnreadableError("it is a tar archive")
    magic, version, machine = (_unpickle(stream).content for _ in range(3))
    if magic != LEGACY_MAGIC or version != LEGACY_PROTOCOL:
        raise UnreadableError("it is a pickle that torch.save did not write")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise UnreadableError("its numbers are big-endian; save it again on an ordinary machine")
    unpickler = _unpickle(stream)
    keys = _unpickle(stream).content
    known = {storage.key: storage for storage in unpickler.storages if isinstance(storage.key, str)}
    places: dict[str, tuple[int, int]] = {}
    position = stream.tell()
    for key in keys if isinstance(keys, list) else [None]:
        if not isinstance(key, str) or key not in known or key in places:
            raise UnreadableError("its list of tensors does not fit its content")
        file.seek(position)
        count = int.from_bytes(file.read(8), "little", signed=True)
        end = position + 8 + count * known[key].dtype.itemsize
        if count < 0 or end > size:
            raise UnreadableError(f"it is truncated: it claims {count:,} values where it ends")
        places[key] = (position + 8, end - position - 8)
        position = end

    def stored(storage: Storage) -> bytearray:
        if storage.key not in places:
            raise UnreadableError("its list of tensors does not fit its content")
        start, length = places[storage.key]
        file.seek(start)
        return bytearray(file.read(length))

    return Pickled(unpickler.content, _Tensors(stored, size))


def _is_tar(block: memoryview) -> bool:
    try:
        tarfile.TarInfo.frombuf(bytes(block), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


class _Tensors:
    """Makes tensors of descriptions that fit the bytes they refer to; together no larger than the file."""

    def __init__(self, stored: Callable[[Storage], bytearray], size: int) -> None:
        self.stored, self.left = stored, size
        self.kept: dict[str, bytearray] = {}

    def __call__(self, described: StoredTensor) -> Tensor:
        with _damage():
            return self._make(*described)

    def _make(self, storage: Any, offset: Any, size: Any, stride: Any) -> Tensor:
        if not isinstance(storage, Storage) or not isinstance(storage.key, str):
            raise UnreadableError("a tensor in it has no storage")
        numbers = _whole((offset, storage.count, *_whole(size), *_whole(stride)))
        if min(numbers) < 0 or len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
            raise UnreadableError(f"a tensor in it has the shape {_shown(size)}, strides {_shown(stride)}")
        if storage.key not in self.kept:
            self.kept[storage.key] = self.stored(storage)
        raw = self.kept[storage.key]
        count, itemsize = math.prod(size), storage.dtype.itemsize
        reach = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1 if count else 0
        if storage.count * itemsize != len(raw) or max(reach, count) > storage.count:
            raise UnreadableError(
                f"a tensor in it claims the shape {_shown(size)} of {len(raw):,} bytes of {storage.dtype}"
            )
        self.left -= count * itemsize
        if self.left < 0:
            raise UnreadableError("its tensors together claim more than the file has")
        if not count:
            return torch.empty(size, dtype=storage.dtype)
        return torch.frombuffer(raw, dtype=storage.dtype).as_strided(size, stride, offset).clone()


def _whole(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int for value in values):
        raise UnreadableError("a tensor in it has no shape")
    return values


def _shown(values: tuple[int, ...]) -> str:
    return printable(values[:6], 60)


# --- the unpickler -------------------------------------------------------------------------------------


@contextmanager
def _damage() -> Iterator[None]:
    """Whatever a reader raises on damaged bytes, as one kind of error."""
    try:
        yield
    except (UnreadableError, ForbiddenError):
        raise
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {printable(error, 100)}") from None


class _Unpickler(pickle.Unpickler):
    """Makes no object of a class or function the file names, only the stand-ins below."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.encode = Latin1(len(content))
        self.storages: list[Storage] = []
        self.content: Any = None

    def find_class(self, module: str, name: str) -> Any:
        # Fresh functions each time: a file can call them, but change nothing that outlives the reading.
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and f"torch.{name}" in _DTYPES:
            return f"torch.{name}"
        found = {
            "collections.OrderedDict": lambda: OrderedDict(),  # of nothing: each copy would take its size
            "torch._utils._rebuild_tensor": lambda storage, offset, size, stride: StoredTensor(
                storage, offset, size, stride
            ),
            "torch._utils._rebuild_tensor_v2": lambda storage, offset, size, stride, *_: StoredTensor(
                storage, offset, size, stride
            ),
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            "torch.Size": lambda sizes=(): sizes if isinstance(sizes, tuple) else (),
            "torch.device": lambda *_: "device",
            "numpy.core.multiarray.scalar": lambda dtype, data: _numpy_scalar(dtype, data),
            "numpy._core.multiarray.scalar": lambda dtype, data: _numpy_scalar(dtype, data),
            "numpy.dtype": lambda code, *_: _NumpyDtype(code),
            "_codecs.encode": lambda *text: self.encode(*text),
        }.get(f"{module}.{name}")
        if found is None:
            raise ForbiddenError(f"it names {printable(f'{module}.{name}', 100)}")
        return found

    def persistent_load(self, reference: Any) -> Storage:
        if not isinstance(reference, tuple):
            raise UnreadableError("it refers to something that is no tensor's storage")
        tag, dtype, key, _, count, *view = reference
        if tag != "storage" or not isinstance(dtype, torch.dtype) or type(count) is not int or any(view):
            raise UnreadableError("it refers to something that is no tensor's storage")
        self.storages.append(Storage(key, dtype, count))
        return self.storages[-1]


def _unpickle(stream: io.BytesIO) -> _Unpickler:
    """Read one pickle where the stream stands; the stream is left at its end."""
    start = stream.tell()
    try:
        check_pickle(stream)
    except NotPlainError as error:
        damaged = "damaged" in str(error)
        raise (UnreadableError if damaged else ForbiddenError)(str(error)) from None
    end = stream.tell()
    stream.seek(start)
    unpickler = _Unpickler(stream.read(end - start))
    with _damage():
        unpickler.content = unpickler.load()
    return unpickler


class _NumpyDtype:
    """Stands for a pickled ``numpy.dtype`` of a plain number or text: a type code and a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.order = state[1]


def _numpy_scalar(dtype: Any, data: Any) -> float | int | bool | str:
    raw = data.encode("latin1") if isinstance(data, str) else data
    if re.fullmatch(r"U\d+", dtype.code):
        return raw.decode("utf-32-le" if dtype.order == "<" else "utf-32-be")
    return struct.unpack(dtype.order + _STRUCT_CODES[dtype.code], raw)[0]
