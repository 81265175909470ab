"""conduit.cuh by the host's C++ compiler: the statements that a card executes, without a card."""

from __future__ import annotations

import ctypes
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest
from torch import Tensor

from geolip_theorems.conduit import backends, cuda_backend

COMPILER = next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)
MISSES = pytest.mark.skipif(
    COMPILER is None, reason="no C++ compiler on the PATH: install c++, g++ or clang++, such as Debian's g++"
)
# -ffp-contract=off: as NVRTC's --fmad=false, no a * b + c in one rounding.
FLAGS = ("-std=c++17", "-O2", "-ffp-contract=off", "-fPIC", "-shared", "-Wall", "-Wno-unknown-pragmas")


@functools.cache
def library(text: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "conduit.so"
        command = [COMPILER, *FLAGS, "-x", "c++", "-", "-o", str(path)]
        subprocess.run(command, input=text, text=True, check=True)
        return ctypes.CDLL(str(path))


def run(kernel: str, *arrays: Tensor) -> None:
    """As ``cuda_backend.run``, for tensors on the CPU."""
    batch, n = len(arrays[0]), arrays[0].shape[-1]
    pointers = [ctypes.c_void_p(array.data_ptr()) for array in arrays]
    getattr(library(cuda_backend.source(n)), kernel)(ctypes.c_longlong(batch), *pointers)


@contextmanager
def on_the_host() -> Iterator[None]:
    """Inside, ``backend="cuda"`` takes tensors on the CPU."""
    here = {"cuda": replace(backends.BACKENDS["cuda"], usable=lambda device: True)}
    with mock.patch.object(cuda_backend, "run", run), mock.patch.dict(backends.BACKENDS, here):
        yield
