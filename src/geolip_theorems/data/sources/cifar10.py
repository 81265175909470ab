"""The 10,000 CIFAR-10 test images (Krizhevsky, 2009): found in a cache, or downloaded into it.

The published files are Python pickles. They are read only if their MD5 is the one torchvision knows them
by, and even then by an unpickler that makes nothing but plain data and the bytes of one array.
"""

from __future__ import annotations

import http.client
import io
import math
import pickle
import sys
import tarfile
import tempfile
import time
import urllib.request
import zlib
from hashlib import md5
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import platformdirs
from filelock import FileLock

from ...io.errors import InputError, printable, reason, shown
from ...io.files import hex_digest, read_small, write_atomically
from ...io.pickles import Latin1, check_pickle
from ..imageset import ImageSet, array_set
from . import Asked

# As in torchvision.datasets.CIFAR10, whose import alone takes a second.
FOLDER, ARCHIVE, TEST, META = "cifar-10-batches-py", "cifar-10-python.tar.gz", "test_batch", "batches.meta"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
MD5 = {TEST: "40351d587109b95175f43aff81a1287e", META: "5ff9c542aee3614f3951f8cda6e48888"}
TRAIN = [f"data_batch_{number}" for number in range(1, 6)]
CONNECT_SECONDS = 5.0
LARGEST_FILE, LARGEST_ARCHIVE = 64 << 20, 256 << 20  # bytes; the true ones have 31 and 170 million


class CifarUnavailableError(InputError):
    """CIFAR-10 is neither in the cache nor to be had; ``reason`` says why without naming a local path."""

    def __init__(self, reason: str, root: Path) -> None:
        self.reason = reason
        super().__init__(f"cifar10: {reason}; to fill the cache by hand put {ARCHIVE} from {URL} into {root}")


def open_images(asked: Asked, *, patience: float | None = None) -> ImageSet:
    """CIFAR-10's test images in their published order; ``data_root`` holds or gets ``cifar-10-batches-py``.

    A download is given up after ``patience`` seconds; None lets it take its time.

    Raises:
        CifarUnavailableError: not in the cache and not to be downloaded.
        InputError: a file in the cache is not the published one; the cache cannot be written.
    """
    kept = Path(platformdirs.user_cache_dir("geolip-theorems")) / "datasets"
    root = kept if asked.data_root is None else Path(asked.data_root).expanduser()
    root = root.parent if root.name == FOLDER else root
    if not _complete(root):
        _fill(root, asked.offline, patience)
    batch, meta = (_load(root / FOLDER / name) for name in (TEST, META))
    try:
        data = batch["data"].uint8(3 * 32 * 32)
        labels = np.asarray(msgspec.convert(batch["labels"], list[int]), np.int64)
        names = msgspec.convert(meta["label_names"], list[str])
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(
            f"{TEST} or {META} is not in CIFAR-10's format ({type(error).__name__}: "
            f"{printable(error, 160)}); remove it and fetch it again"
        ) from None
    images = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    source = f"CIFAR-10, {len(images):,} test images, 32x32 pixels"
    return array_set(images, asked.transform, "cifar10", source, labels=labels, classes=names)


def _complete(root: Path) -> bool:
    return all((root / FOLDER / name).is_file() for name in (TEST, META))


# --- reading ---------------------------------------------------------------------------------------


class _Pickled:
    """What a pickle says of an array or its dtype: how it is made, and its state."""

    def __init__(self, *made: Any) -> None:
        self.made = made

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def uint8(self, columns: int) -> np.ndarray:
        """The array as (n, columns) uint8, of its bytes alone; ValueError if it is anything else."""
        _, shape, dtype, fortran, content = self.state
        content = content.encode("latin1") if isinstance(content, str) else content
        if dtype.made[0] not in ("u1", "|u1", b"u1") or fortran or not isinstance(content, bytes):
            raise ValueError("the images are not plain 8-bit numbers")
        pixels = np.frombuffer(content, np.uint8).reshape(-1, columns)
        if shape != pixels.shape:
            raise ValueError(f"the images have shape {shown(shape, 80)}")
        return pixels


class _Unpickler(pickle.Unpickler):
    """Makes no object of a class or function the file names, only the stand-in above."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.encode = Latin1(len(content))

    def find_class(self, module: str, name: str) -> Any:
        # Fresh functions each time: a file can call them, but change nothing that outlives the reading.
        found = {
            "numpy.core.multiarray._reconstruct": lambda *made: _Pickled(*made),
            "numpy._core.multiarray._reconstruct": lambda *made: _Pickled(*made),
            "numpy.dtype": lambda *made: _Pickled(*made),
            "numpy.ndarray": "ndarray",
            "_codecs.encode": lambda *text: self.encode(*text),  # how Python 3 writes bytes in protocol 2
        }.get(f"{module}.{name}")
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {printable(f'{module}.{name}', 100)}")
        return found


def _load(path: Path) -> dict[str, Any]:
    content = read_small(path, "CIFAR-10's file", LARGEST_FILE)
    _check_md5(path.name, md5(content, usedforsecurity=False).hexdigest(), MD5[path.name], "read")
    return unpickle(content, path.name)


def _check_md5(name: str, found: str, expected: str, done: str) -> None:
    if found != expected:
        raise InputError(
            f"{name} has the MD5 {found}, CIFAR-10's has {expected}; it is not {done}: remove it and "
            "fetch it again"
        )


def unpickle(content: bytes, name: str) -> dict[str, Any]:
    """The dictionary in one of CIFAR-10's pickles, nothing in it executed.

    Raises:
        InputError: damaged, or it asks for anything but plain data.
    """
    try:
        check_pickle(io.BytesIO(content))
        found = _Unpickler(content).load()
        return {key: value for key, value in found.items() if isinstance(key, str)}
    except Exception as error:  # a hostile pickle can make the reader raise anything
        detail = f"{type(error).__name__}: {reason(error)}"
        raise InputError(f"{name} is not one of CIFAR-10's files ({detail}); it was not executed") from None


# --- filling the cache ------------------------------------------------------------------------------


def _fill(root: Path, offline: bool, patience: float | None) -> None:
    """Get ``cifar-10-batches-py`` from the archive in the cache, or from the network."""
    archive = root / ARCHIVE
    if offline and not archive.is_file():
        raise CifarUnavailableError("it is not in the cache, and --offline forbids a download", root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / "cifar10.lock"):
            if _complete(root):
                return  # another process was faster
            if archive.is_file():
                _extract(archive, root)
                return
            with tempfile.NamedTemporaryFile(dir=root, prefix=".cifar10-") as download:
                _download(download, root, patience)
                _extract(Path(download.name), root)
    except CifarUnavailableError:
        raise
    except (OSError, EOFError, LookupError, RuntimeError, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"cifar10: {root} cannot be filled ({type(error).__name__}: {printable(error, 160)}); remove "
            "what is in it, or choose another --data-root"
        ) from None


def _download(file: Any, root: Path, patience: float | None) -> None:
    give_up = math.inf if patience is None else time.monotonic() + patience
    try:
        with urllib.request.urlopen(URL, timeout=CONNECT_SECONDS) as response:
            if patience is None:
                print(f"downloading CIFAR-10 (170 MB) from {URL}", file=sys.stderr)
            while block := response.read(1 << 18):
                file.write(block)
                if time.monotonic() > give_up:
                    raise TimeoutError(f"the download takes longer than {patience:g} s")
                if file.tell() > LARGEST_ARCHIVE:
                    raise OSError("the server sends more than CIFAR-10")
    except (OSError, http.client.HTTPException) as error:
        why = str(getattr(error, "reason", error)) or type(error).__name__
        host = urlsplit(URL).hostname
        raise CifarUnavailableError(
            f"it is not in the cache and {host} gives no answer ({why})", root
        ) from None
    file.flush()


def _extract(archive: Path, root: Path) -> None:
    """Unpack the files torchvision lists, and no other, each complete or not at all."""
    with open(archive, "rb") as stream:
        _check_md5(ARCHIVE, hex_digest(stream, "md5"), ARCHIVE_MD5, "unpacked")
    with tarfile.open(archive, "r:gz") as tar:
        for name in (*TRAIN, TEST, META):
            member = tar.extractfile(f"{FOLDER}/{name}")
            if member is None:
                raise KeyError(f"{name} is not a file")
            content = member.read(LARGEST_FILE)
            write_atomically(root / FOLDER / name, lambda part, whole=content: Path(part).write_bytes(whole))
