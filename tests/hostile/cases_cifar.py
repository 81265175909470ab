"""CIFAR-10: its pickles, taken for the published ones or not, and the archive they come in."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
from torchvision.datasets import CIFAR10

from . import payloads
from .cases import CASES, Case, case
from .samples import cifar_root, good_batch

CIFAR = "is not one of CIFAR-10's files|not in CIFAR-10's format"


def batch_case(
    name: str, kind: str, says: str, make, loader: str = "trusted cifar", runs: bool = False
) -> None:
    """A test_batch that ``make(canary)`` gives, taken for the published one."""

    def root(folder: Path, canary: Path) -> Path:
        return cifar_root(folder / "root", make(canary))

    root.__name__ = name
    CASES.append(Case(loader, kind, root, says))


def changed(**changes: object) -> dict:
    return {**good_batch(), **changes}


for name, instructions in payloads.RUNNING.items():
    batch_case(name, "runs code", CIFAR, lambda canary, found=instructions: payloads.alone(found(canary)))
for name, instructions in payloads.STRANGE.items():
    batch_case(name, "names more than data", CIFAR, lambda _, found=instructions: payloads.alone(found()))
for entry in (
    ("memo bomb", "memory bomb", "slot 2147483647", lambda _: payloads.alone(payloads.memo_bomb())),
    ("hash bomb", "time bomb", "tuple of more than", lambda _: payloads.alone(payloads.hash_bomb(2))),
    ("deep list", "nesting", CIFAR, lambda _: payloads.alone(payloads.deep())),
    ("labels beyond int64", "labels", CIFAR, lambda _: changed(labels=[2**70] * 20)),
    ("infinite labels", "labels", CIFAR, lambda _: changed(labels=[float("inf")] * 20)),
    ("labels out of range", "labels", "labels go from 11 to 11", lambda _: changed(labels=[11] * 20)),
    ("a shape of letters", "absurd shape", CIFAR, lambda _: forged(("x" * 10**6, 3072))),
    ("a shape beyond its bytes", "absurd shape", CIFAR, lambda _: forged((2**60, 3072))),
    ("a negative shape", "absurd shape", CIFAR, lambda _: forged((-20, 3072))),
    ("other numbers", "wrong dtype", CIFAR, lambda _: changed(data=np.zeros((20, 3072)))),
    ("fortran order", "wrong dtype", CIFAR, lambda _: changed(data=np.asfortranarray(good_batch()["data"]))),
    ("truncated", "truncated", CIFAR, lambda _: pickle.dumps(good_batch())[:1000]),
    ("empty", "empty", CIFAR, lambda _: b""),
    ("names that are lists", "wrong content", CIFAR, lambda _: [1, 2]),
    ("a good one", "fine", "", lambda _: good_batch()),
):
    batch_case(*entry)


class _Forged:
    """Pickles like an array that claims a shape."""

    def __init__(self, shape: tuple) -> None:
        self.shape = shape

    def __reduce__(self):
        make, arguments, state = good_batch()["data"].__reduce__()
        return make, arguments, (state[0], self.shape, *state[2:])


def forged(shape: tuple) -> dict:
    return changed(data=_Forged(shape))


@case("cifar", "unknown hash", r"test_batch has the MD5 .* it is not read")
def a_batch_of_somebody_else(folder: Path, canary: Path) -> Path:
    return cifar_root(folder / "root", payloads.alone(payloads.RUNNING["os system by REDUCE"](canary)))


@case("cifar", "unknown hash", r"has the MD5 .* it is not unpacked")
def an_archive_of_somebody_else(folder: Path, canary: Path) -> Path:
    return tar_root(folder, [])


@case("cifar", "pipe", "not in the cache")
def pipes_for_files(folder: Path, canary: Path) -> Path:
    root = cifar_root(folder / "root")
    for file in (root / CIFAR10.base_folder).iterdir():
        file.unlink()
        os.mkfifo(file)
    return root


@case("trusted cifar", "too large", "expected at most")
def a_sparse_terabyte(folder: Path, canary: Path) -> Path:
    root = cifar_root(folder / "root")
    os.truncate(root / CIFAR10.base_folder / "batches.meta", 1 << 40)
    return root


def tar_root(folder: Path, members: list[tarfile.TarInfo]) -> Path:
    """A data root with an archive of these members and no unpacked files."""
    (folder / "root").mkdir()
    with tarfile.open(folder / "root" / CIFAR10.filename, "w:gz") as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)) if member.isreg() else None)
    return folder / "root"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, size
    return found


IN_TAR = f"{CIFAR10.base_folder}/data_batch_1"
TAR = "cannot be filled"


@case("trusted cifar", "path trick in tar", TAR)
def a_tar_member_outside(folder: Path, canary: Path) -> Path:
    return tar_root(folder, [member("../../canary"), member(str(canary))])


@case("trusted cifar", "path trick in tar", TAR)
def a_tar_link_outside(folder: Path, canary: Path) -> Path:
    return tar_root(folder, [member(IN_TAR, tarfile.SYMTYPE, "/etc/passwd")])


@case("trusted cifar", "path trick in tar", TAR)
def a_tar_link_to_itself(folder: Path, canary: Path) -> Path:
    return tar_root(folder, [member(IN_TAR, tarfile.SYMTYPE, "data_batch_1")])


@case("trusted cifar", "path trick in tar", TAR)
def a_tar_device(folder: Path, canary: Path) -> Path:
    return tar_root(folder, [member(IN_TAR, tarfile.CHRTYPE)])
