"""The conduit's backends, one entry each: who solves, on what, and when it can."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor

from ..io.errors import unknown
from ..io.registry import Registry
from . import torch_backend
from .packet import ConduitPacket

AUTO = "auto"


@dataclass(frozen=True)
class Backend:
    """Who solves.

    Attributes:
        name: as in ``conduit(A, backend=NAME)``.
        devices: the types of devices whose tensors ``auto`` gives it.
        usable: whether it can solve tensors of a device here; torch takes over where it cannot.
        solve: the packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool; None instead
            where no row is invalid and every eigenvalue is finite.
        telemetry: (friction, settle) (B, n) of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32.
        needs: what it takes on its devices, for the warning that it is missing.
    """

    name: str
    devices: tuple[str, ...]
    usable: Callable[[torch.device], bool]
    solve: Callable[[Tensor], tuple[ConduitPacket, Tensor | None]]
    telemetry: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
    needs: str = ""


def _built_in(name: str, device: str, *requires: str, needs: str = "") -> Backend:
    """The backend in ``NAME_backend.py``, imported when it is asked for; unusable where it cannot be."""

    def module():
        return import_module(f".{name}_backend", __package__)

    def usable(there: torch.device) -> bool:
        try:
            return there.type == device and all(map(import_module, requires)) and module() is not None
        except ImportError:
            return False

    return Backend(
        name,
        (device,),
        usable,
        solve=lambda A: module().solve(A),
        telemetry=lambda Vt, S: module().telemetry_from_svd(Vt, S),
        needs=needs,
    )


TORCH = Backend("torch", (), lambda device: True, torch_backend.solve, torch_backend.telemetry_from_svd)
BACKENDS: Registry[Backend] = Registry(
    TORCH,
    _built_in("numba", "cpu"),
    _built_in("cuda", "cuda", "cuda.core", needs="cuda-core: pip install 'geolip-theorems[cuda]'"),
)


def check_name(name: str) -> None:
    """Raise ``InputError`` for the name of no backend."""
    if name != AUTO and name not in BACKENDS:
        raise unknown("conduit backend", name, (AUTO, *BACKENDS))


def choose(name: str, device: torch.device) -> Backend:
    """The backend that solves: the one of this name, for ``auto`` the device's, torch where it cannot."""
    own = (backend for backend in BACKENDS.values() if device.type in backend.devices)
    wanted = next(own, TORCH) if name == AUTO else BACKENDS[name]
    if wanted.usable(device):
        return wanted
    warn_once(wanted.name, device.type)
    return TORCH


@functools.cache
def warn_once(name: str, device: str) -> None:
    """One warning a process for each backend that is not there."""
    wanted = BACKENDS[name]
    needs = f" (it needs {wanted.needs})" if wanted.needs and device in wanted.devices else ""
    warnings.warn(f"conduit: {name} is not available for {device} tensors{needs}; using torch", stacklevel=4)
