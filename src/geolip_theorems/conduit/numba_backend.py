"""The Numba backend: CPU tensors in, packets out, on all of torch's threads."""

from __future__ import annotations

import functools
import itertools
import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from .checks import invalid_rows
from .numba_jacobi import jacobi_tiles
from .numba_setup import CACHE_DIRECTORY, FAILED, LANES, SUSPECT
from .numba_solver import lanes_of, solve_tiles
from .packet import ConduitPacket
from .reference import start_offsets
from .repair import lapack

# Fewer tiles than this are not worth handing to a second thread.
TILES_PER_THREAD = 16

_lock = threading.Lock()
_pools: dict[int, ThreadPoolExecutor] = {}
_ready: set[tuple[str, int]] = set()


def pool() -> ThreadPoolExecutor:
    """This process's threads: a pool does not survive a fork, so there is one for each process id."""
    with _lock:
        if os.getpid() not in _pools:
            _pools[os.getpid()] = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="conduit")
        return _pools[os.getpid()]


def run_tiles(kernel: Callable, n: int, tiles: int, *arguments) -> int:
    """Call kernel(dims, *arguments, first, last) over all tiles, on torch's threads; the bits they return.

    The first call of a kernel for a size compiles it, or loads it from the cache, under a lock between
    processes: Numba's cache index is not safe when several write it at once.
    """
    dims = (0,) * n
    key = (kernel.__name__, n)
    if key not in _ready:
        with _lock, FileLock(CACHE_DIRECTORY / "compile.lock"):
            kernel(dims, *arguments, 0, 0)
        _ready.add(key)
    parts = min(torch.get_num_threads(), os.cpu_count() or 1, tiles // TILES_PER_THREAD)
    if parts <= 1:
        return kernel(dims, *arguments, 0, tiles) or 0  # repairs return nothing
    edges = [tiles * part // parts for part in range(parts + 1)]
    spans = list(itertools.pairwise(edges))
    waiting = [pool().submit(kernel, dims, *arguments, *span) for span in spans[1:]]
    flagged = kernel(dims, *arguments, *spans[0]) or 0
    for job in waiting:
        flagged |= job.result() or 0
    return flagged


def run_path(fused: bool, A: np.ndarray, S: np.ndarray, *outputs: np.ndarray) -> int:
    """The path of every matrix of A (B, n, n), or of the Gram matrices of A = Vt and S; the status bits."""
    batch, n, _ = A.shape
    offsets = start_offsets(n)
    lanes = lanes_of.py_func(n)
    flagged, rest = 0, batch % lanes
    if rest:  # the matrices left over, in a tile of their own
        last = slice(batch - rest, batch)
        a, s = padded(A[last], lanes), np.ones((lanes, n), np.float32)
        s[:rest] = S[last] if fused else 1
        parts = [np.zeros((lanes, *x.shape[1:]), x.dtype) for x in outputs]
        flagged = run_tiles(solve_tiles, n, 1, offsets, fused, a, s, *parts)
        for whole, part in zip(outputs, parts, strict=True):
            whole[last] = part[: len(whole[last])]
    if batch >= lanes:
        flagged |= run_tiles(solve_tiles, n, batch // lanes, offsets, fused, A, S, *outputs)
    return flagged


def padded(A: np.ndarray, count: int) -> np.ndarray:
    """A (B, n, n) with diagonal matrices behind it that pass the test, so that there are `count`."""
    n = A.shape[-1]
    filled = np.broadcast_to(np.diag(np.arange(1, n + 1, dtype=np.float32)), (count, n, n)).copy()
    filled[: len(A)] = A
    return filled


@functools.cache
def order_of(n: int) -> Tensor:
    return torch.arange(n, dtype=torch.float32)


def new_arrays(batch: int, n: int) -> tuple[np.ndarray, ...]:
    """values, vectors, coefficients, friction, settle, residual, not yet filled, in one piece of memory.

    In several pieces the allocator gives the memory back to the system and takes it again at every call.
    """
    shapes = ((batch, n), (batch, n, n), (batch, n), (batch, n), (batch, n), (batch,))
    edges = list(itertools.accumulate((math.prod(shape) for shape in shapes), initial=0))
    memory = np.empty(edges[-1], np.float32)
    return tuple(memory[a:b].reshape(shape) for a, b, shape in zip(edges, edges[1:], shapes, strict=False))


def solve(A: Tensor) -> tuple[ConduitPacket, Tensor | None]:
    """The packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool.

    None instead where no row is invalid and every eigenvalue is finite.
    """
    A = A.contiguous()
    batch, n, _ = A.shape
    arrays, status, rescued = new_arrays(batch, n), np.empty(batch, np.uint8), np.zeros(batch, np.bool_)
    flagged = run_path(False, A.numpy(), np.empty((0, n), np.float32), *arrays, status)
    invalid = None
    if flagged:  # few rows: what follows touches these only
        rows = np.flatnonzero(status != 0)
        suspect = rows[(status[rows] & SUSPECT) != 0]
        failed = (status[rows] & FAILED) != 0
        if len(suspect):
            invalid = np.zeros(batch, np.bool_)
            invalid[suspect] = invalid_rows(A[suspect]).numpy()
            failed &= ~invalid[rows]
            invalid = torch.from_numpy(invalid)
        rows = rows[failed]
        rescued[rows] = True
        if len(rows):
            repair(A, *arrays[:2], rows)
            if not np.isfinite(arrays[0][rows]).all() and invalid is None:
                invalid = torch.zeros(batch, dtype=torch.bool)
    eigenvalues, eigenvectors, coefficients, friction, settle, residual = map(torch.from_numpy, arrays)
    packet = ConduitPacket(
        eigenvalues=eigenvalues,
        eigenvectors=eigenvectors,
        char_coeffs=coefficients,
        friction=friction,
        settle=settle,
        extraction_order=order_of(n).expand(batch, n),
        refinement_residual=residual,
        rescued=torch.from_numpy(rescued),
    )
    return packet, invalid


def repair(A: Tensor, values: np.ndarray, vectors: np.ndarray, rows: np.ndarray) -> None:
    """Replace the eigenpairs of some rows by valid ones.

    By Jacobi rotations in float32, and by LAPACK in float64 where these do not pass the test.
    """
    good = np.empty(len(rows), np.bool_)
    run_tiles(jacobi_tiles, A.shape[-1], -(-len(rows) // LANES), A.numpy(), rows, values, vectors, good)
    rows = rows[~good]
    if len(rows):
        eigenvalues, V = lapack(A[rows].permute(1, 2, 0))
        values[rows], vectors[rows] = eigenvalues.T.numpy(), V.permute(2, 0, 1).numpy()


def telemetry_from_svd(Vt: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """(friction, settle), each (B, n), of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32."""
    batch, n, _ = Vt.shape
    friction, settle = torch.empty(batch, n), torch.empty(batch, n)
    pairs, none = np.empty((0, n), np.float32), np.empty(0, np.float32)
    run_path(
        True, Vt.contiguous().numpy(), S.contiguous().numpy(), pairs, np.empty((0, n, n), np.float32), pairs,
        friction.numpy(), settle.numpy(), none, np.empty(0, np.uint8),
    )  # fmt: skip
    return friction, settle
