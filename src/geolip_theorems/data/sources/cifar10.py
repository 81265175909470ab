"""The 10,000 CIFAR-10 test images (Krizhevsky, 2009): found in a cache, or downloaded into it.

The published files are Python pickles. They are read only if their MD5 is the one torchvision knows them
by, and even then by an unpickler that can make nothing but lists, dictionaries, strings, numbers and the
bytes of one array.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import math
import os
import pickle
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import platformdirs
from filelock import FileLock

from ...io.errors import InputError, printable, reason, shown
from ...io.files import read_small
from ...io.pickles import Latin1, check_pickle
from ..imageset import ImageSet, array_set
from ..transforms import Transform
from .base import Asked

# As in torchvision.datasets.CIFAR10, whose import alone takes a second.
FOLDER, ARCHIVE, TEST, META = "cifar-10-batches-py", "cifar-10-python.tar.gz", "test_batch", "batches.meta"
URL = f"https://www.cs.toronto.edu/~kriz/{ARCHIVE}"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    TEST: "40351d587109b95175f43aff81a1287e",
    META: "5ff9c542aee3614f3951f8cda6e48888",
}
CONNECT_SECONDS = 5.0
LARGEST_FILE, LARGEST_ARCHIVE = 64 << 20, 256 << 20  # bytes; the true ones have 31 and 170 million


class CifarUnavailableError(InputError):
    """CIFAR-10 is neither in the cache nor to be had; ``reason`` says why without naming a local path."""

    def __init__(self, reason: str, root: Path) -> None:
        self.reason = reason
        super().__init__(f"cifar10: {reason}; to fill the cache by hand put {ARCHIVE} from {URL} into {root}")


def default_root() -> Path:
    """Where CIFAR-10 is kept if no ``--data-root`` is given."""
    return Path(platformdirs.user_cache_dir("geolip-theorems")) / "datasets"


def open_images(asked: Asked, *, patience: float | None = None) -> ImageSet:
    """CIFAR-10's test images in their published order.

    Args:
        asked: its ``data_root`` is the folder that holds or gets ``cifar-10-batches-py``.
        patience: give a download up after so many seconds; None lets it take its time.

    Raises:
        CifarUnavailableError: not in the cache and not to be downloaded.
        InputError: a file in the cache is not the published one; the cache cannot be written.
    """
    root = default_root() if asked.data_root is None else Path(asked.data_root).expanduser()
    root = root.parent if root.name == FOLDER else root
    folder = root / FOLDER
    if not _complete(folder):
        _fill(root, asked.offline, patience)
    return read_folder(folder, asked.transform)


def read_folder(folder: Path, transform: Transform, md5: Mapping[str, str] | None = None) -> ImageSet:
    """Read ``test_batch`` and ``batches.meta``; ``md5`` are their hashes, torchvision's by default.

    Raises:
        InputError: a file is not the one with this MD5, or does not hold what CIFAR-10's files hold.
    """
    md5 = MD5 if md5 is None else md5
    batch, meta = (_load(folder / name, md5[name]) for name in (TEST, META))
    try:
        data, labels = batch["data"].uint8(3 * 32 * 32), np.asarray(_all(int, batch["labels"]), np.int64)
        names = _all(str, meta["label_names"])
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(
            f"{TEST} or {META} is not in CIFAR-10's format ({type(error).__name__}: "
            f"{printable(error, 160)}); remove it and fetch it again"
        ) from None
    images = np.ascontiguousarray(data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
    source = f"CIFAR-10, {len(images):,} test images, 32x32 pixels"
    return array_set(images, transform, "cifar10", source, labels=labels, classes=names)


def _all(kind: type, values: Any) -> list:
    if not isinstance(values, list) or not all(type(value) is kind for value in values):
        raise ValueError(f"labels or their names are no list of {kind.__name__}")
    return values


def _complete(folder: Path) -> bool:
    return all((folder / name).is_file() for name in (TEST, META))


# --- reading ---------------------------------------------------------------------------------------


class _PickledArray:
    """What a pickle says of an array: shape, dtype and bytes, from which only plain bytes are made."""

    __slots__ = ("state",)

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def uint8(self, columns: int) -> np.ndarray:
        """The array as (n, columns) uint8; ValueError if it is anything else."""
        _, shape, dtype, fortran, content = self.state
        content = content.encode("latin1") if isinstance(content, str) else content
        if dtype.name not in ("u1", "|u1") or fortran or not isinstance(content, bytes):
            raise ValueError("the images are not plain 8-bit numbers")
        whole = isinstance(shape, tuple) and all(type(side) is int for side in shape)
        if not whole or len(shape) != 2 or shape[1] != columns or math.prod(shape) != len(content):
            raise ValueError(f"the images have shape {shown(shape, 80)}")
        return np.frombuffer(content, np.uint8).reshape(shape)


class _PickledDtype:
    __slots__ = ("name",)

    def __init__(self, name: Any) -> None:
        self.name = name.decode("latin1") if isinstance(name, bytes) else name

    def __setstate__(self, state: Any) -> None:
        """Byte order and fields; of no use for single bytes."""


class _Unpickler(pickle.Unpickler):
    """Makes no object of a class or function the file names; arrays become ``_PickledArray``."""

    def __init__(self, content: bytes) -> None:
        super().__init__(io.BytesIO(content), encoding="latin1")
        self.encode = Latin1(len(content))

    def find_class(self, module: str, name: str) -> Any:
        # Fresh functions each time: a file can call them, but change nothing that outlives the reading.
        if (module, name) in {(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")}:
            return lambda *_: _PickledArray()
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("numpy", "dtype"):
            return lambda code, *_: _PickledDtype(code)
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in protocol 2
            return lambda *text: self.encode(*text)
        raise pickle.UnpicklingError(f"it asks for {printable(f'{module}.{name}', 100)}")


def _load(path: Path, md5: str) -> dict[str, Any]:
    content = read_small(path, "CIFAR-10's file", LARGEST_FILE)
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise InputError(
            f"{path.name} has the MD5 {found}, CIFAR-10's has {md5}; it is not read: remove it and fetch it "
            "again"
        )
    return unpickle(content, path.name)


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
            if _complete(root / FOLDER):
                return  # another process was faster
            if archive.is_file():
                _extract(archive, root)
            else:
                _download(root, patience)
    except CifarUnavailableError:
        raise
    except (OSError, EOFError, LookupError, RuntimeError, tarfile.TarError, zlib.error) as error:
        raise InputError(
            f"cifar10: {root} cannot be filled ({type(error).__name__}: {printable(error, 160)}); remove "
            "what is in it, or choose another --data-root"
        ) from None


def _download(root: Path, patience: float | None) -> None:
    give_up = math.inf if patience is None else time.monotonic() + patience
    with tempfile.NamedTemporaryFile(dir=root, prefix=".cifar10-") as archive:
        try:
            with _connect(URL, CONNECT_SECONDS) as response:
                if patience is None:
                    print(f"downloading CIFAR-10 (170 MB) from {URL}", file=sys.stderr)
                while block := response.read(1 << 18):
                    archive.write(block)
                    if time.monotonic() > give_up:
                        raise TimeoutError(f"the download takes longer than {patience:g} s")
                    if archive.tell() > LARGEST_ARCHIVE:
                        raise OSError("the server sends more than CIFAR-10")
        except (OSError, http.client.HTTPException) as error:
            host = urlsplit(URL).hostname
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            raise CifarUnavailableError(
                f"it is not in the cache and {host} gives no answer ({reason})", root
            ) from None
        archive.flush()
        _extract(Path(archive.name), root)


def _connect(url: str, seconds: float) -> Any:
    """Open a URL; also a name server that does not answer costs no more than ``seconds``."""
    outcome: list[Any] = []

    def attempt() -> None:
        try:
            outcome.append(urllib.request.urlopen(url, timeout=seconds))
        except Exception as error:  # handed to the caller's thread
            outcome.append(error)

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no connection within {seconds:g} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _extract(archive: Path, root: Path) -> None:
    """Unpack the files torchvision lists, and no other, each complete or not at all."""
    with open(archive, "rb") as stream:
        h = hashlib.md5(usedforsecurity=False)
        while block := stream.read(1 << 20):
            h.update(block)
    if h.hexdigest() != ARCHIVE_MD5:
        raise InputError(
            f"{ARCHIVE} has the MD5 {h.hexdigest()}, CIFAR-10's has {ARCHIVE_MD5}; "
            "it is not unpacked: remove it and fetch it again"
        )
    folder = root / FOLDER
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar:
        for name in MD5:
            member = tar.extractfile(f"{FOLDER}/{name}")
            if member is None:
                raise KeyError(f"{name} is not a file")
            part = folder / f".{name}.{os.getpid()}"
            try:
                part.write_bytes(member.read(LARGEST_FILE))
                os.replace(part, folder / name)
            finally:
                part.unlink(missing_ok=True)
