"""The public checkpoint format, what ``torch.save`` writes, read without torch's loader.

The pickle is first checked (:mod:`geolip_theorems.io.pickles`) and then read by an unpickler that makes
dictionaries, lists, tuples, text, numbers, and descriptions of tensors. A tensor is made only once its
description is found to fit the bytes that are there: torch's loader allocates what a file claims, and takes
views beyond what it holds.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..io.arrays import open_archive
from ..io.errors import printable
from ..io.pickles import Latin1, NotPlainError, check_pickle

LARGEST_PICKLE = 16 << 20  # bytes; that of a checkpoint with optimiser state has some 100 kB
MOST_DIMENSIONS = 16
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
}  # fmt: skip
_DTYPES = {str(dtype) for dtype in _STORAGES.values()}


class Storage(NamedTuple):
    """Bytes a pickle refers to, as far as it says."""

    key: str
    dtype: torch.dtype
    count: int


class StoredTensor(NamedTuple):
    """A tensor as the pickle describes it: nothing in it has been checked."""

    storage: Any
    offset: Any
    size: Any
    stride: Any


Stored = Callable[[str], bytearray]  # the bytes under a key


def read_pickled(file: BinaryIO) -> tuple[Any, Callable[[StoredTensor], Tensor]]:
    """Read an archive or, as torch wrote before version 1.6, all in one file; it must stay open meanwhile.

    Gives what it holds, with a :class:`StoredTensor` for each tensor, and what makes a tensor of one. Either
    raises whatever reading damaged bytes raises, and NotPlainError where a pickle is more than data.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(4)
    if head == b"PK\x03\x04":
        content, stored = _read_archive(file, size)
    elif head[:1] == b"\x80":
        content, stored = _read_legacy(file, size)
    else:
        raise ValueError("it begins with neither an archive's nor a pickle's first bytes")
    return content, _Tensors(stored, size)


def _read_archive(file: BinaryIO, size: int) -> tuple[Any, Stored]:
    archive = open_archive(file)
    members = archive.infolist()
    # torch writes its members uncompressed: what unpacks to more than the file weighs is a bomb.
    if any(m.compress_type for m in members) or sum(m.file_size for m in members) > size:
        raise ValueError("it is a compressed archive, and torch.save writes uncompressed ones")

    def read(name: str, largest: int = size) -> bytearray:
        content, claimed = b"", archive.getinfo(name).file_size
        if claimed <= largest:
            content = archive.read(name)  # checks the checksum
        if len(content) != claimed:
            raise ValueError(f"its member {printable(name, 80)!r} claims {claimed:,} bytes")
        return bytearray(content)

    names = [member.filename for member in members]
    roots = [name.removesuffix("data.pkl") for name in names if re.fullmatch(r"[^/]*/data\.pkl", name)]
    if len(roots) != 1:
        raise ValueError(f"it holds {len(roots)} members NAME/data.pkl, and torch.save writes one")
    if roots[0] + "byteorder" in names and read(roots[0] + "byteorder", 16) != b"little":
        raise ValueError("its numbers are big-endian; save it again on an ordinary machine")
    unpickler = _unpickle(io.BytesIO(read(roots[0] + "data.pkl", LARGEST_PICKLE)))
    return unpickler.content, lambda key: read(f"{roots[0]}data/{key}")


def _read_legacy(file: BinaryIO, size: int) -> tuple[Any, Stored]:
    """Five pickles (magic number, version, machine, content, keys), then each key's count and bytes."""
    file.seek(0)
    stream = io.BytesIO(file.read(LARGEST_PICKLE))
    magic, version, machine = (_unpickle(stream).content for _ in range(3))
    if magic != LEGACY_MAGIC or version != LEGACY_PROTOCOL:
        raise ValueError("it is a pickle that torch.save did not write")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("its numbers are big-endian; save it again on an ordinary machine")
    unpickler = _unpickle(stream)
    keys = _unpickle(stream).content
    places: dict[str, tuple[int, int]] = {}
    position = stream.tell()
    for key in keys:
        file.seek(position)
        count = int.from_bytes(file.read(8), "little", signed=True)
        length = count * unpickler.storages[key].dtype.itemsize
        if count < 0 or position + 8 + length > size:
            raise ValueError(f"it is truncated: it claims {count:,} values where it ends")
        places[key] = (position + 8, length)
        position += 8 + length

    def stored(key: str) -> bytearray:
        start, length = places[key]
        file.seek(start)
        return bytearray(file.read(length))

    return unpickler.content, stored


class _Tensors:
    """Makes tensors of descriptions that fit the bytes they refer to; together no larger than the file."""

    def __init__(self, stored: Stored, size: int) -> None:
        self.stored, self.left = cache(stored), size

    def __call__(self, described: StoredTensor) -> Tensor:
        storage, offset, size, stride = described
        if not isinstance(storage, Storage):
            raise ValueError("a tensor in it has no storage")
        raw = self.stored(storage.key)
        whole = all(type(n) is int and n >= 0 for n in (storage.count, offset, *size, *stride))
        fits = whole and len(size) == len(stride) <= MOST_DIMENSIONS
        if fits:
            count, itemsize = math.prod(size), storage.dtype.itemsize
            reach = offset + 1 + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
            fits = storage.count * itemsize == len(raw) and max(count, count and reach) <= storage.count
        if not fits:
            shape = f"the shape {printable(size[:6], 60)}, strides {printable(stride[:6], 60)}"
            raise ValueError(f"a tensor in it claims {shape} of {len(raw):,} bytes of {storage.dtype}")
        self.left -= count * itemsize
        if self.left < 0:
            raise ValueError("its tensors together claim more than the file has")
        if not count:
            return torch.empty(size, dtype=storage.dtype)
        return torch.frombuffer(raw, dtype=storage.dtype).as_strided(size, stride, offset).clone()


class _Unpickler(pickle.Unpickler):
    """Makes no object of a class or function the file names, only the stand-ins below."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8")
        self.encode = Latin1(len(content))
        self.storages: dict[str, Storage] = {}
        self.content = self.load()

    def find_class(self, module: str, name: str) -> Any:
        # Fresh functions each time: a file can call them, but change nothing that outlives the reading.
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch" and f"torch.{name}" in _DTYPES:
            return f"torch.{name}"
        found = {
            "collections.OrderedDict": lambda: OrderedDict(),  # of nothing: each copy would take its size
            "torch._utils._rebuild_tensor": lambda *described: StoredTensor(*described),
            "torch._utils._rebuild_tensor_v2": lambda *described: StoredTensor(*described[:4]),
            "torch._utils._rebuild_parameter": lambda tensor, *_: tensor,
            "torch.Size": lambda sizes=(): sizes if isinstance(sizes, tuple) else (),
            "torch.device": lambda *_: "device",
            "numpy.core.multiarray.scalar": lambda dtype, data: dtype.scalar(data),
            "numpy.dtype": lambda code, *_: _NumpyDtype(code),
            "_codecs.encode": lambda *text: self.encode(*text),
        }.get(f"{module}.{name}".replace("numpy._core.", "numpy.core."))
        if found is None:
            raise NotPlainError(f"it names {printable(f'{module}.{name}', 100)}")
        return found

    def persistent_load(self, reference: Any) -> Storage:
        if isinstance(reference, tuple) and len(reference) in (5, 6) and reference[0] == "storage":
            _, dtype, key, _, count, *view = reference
            storage = Storage(key, dtype, count)
            typed = isinstance(key, str) and isinstance(dtype, torch.dtype) and type(count) is int
            if typed and not any(view) and self.storages.setdefault(key, storage) == storage:
                return storage
        raise ValueError("it refers to something that is no tensor's storage")


def _unpickle(stream: io.BytesIO) -> _Unpickler:
    """Read one pickle where the stream stands; the stream is left at its end."""
    start = stream.tell()
    check_pickle(stream)
    return _Unpickler(stream.getvalue()[start : stream.tell()])


class _NumpyDtype:
    """Stands for a pickled ``numpy.dtype`` of a plain number or text: a type code and a byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: str) -> None:
        if not re.fullmatch(r"[fiu][1248]|b1|U\d+", code):
            raise ValueError("it has a number of a type that is not plain")
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.order = state[1]

    def scalar(self, data: bytes | str) -> float | int | bool | str:
        """The value of so many bytes, which are text in pickles of protocol 2."""
        raw = data.encode("latin1") if isinstance(data, str) else data
        if self.code[0] == "U":
            return raw.decode("utf-32-le" if self.order == "<" else "utf-32-be")
        (value,) = np.frombuffer(raw, self.order + self.code)
        return value.item()
