"""The Numba backend: CPU tensors in, packets out, on all of torch's threads."""

from __future__ import annotations

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
from .numba_refine import refine_tiles
from .numba_setup import CACHE_DIRECTORY, FAILED, SUSPECT, lanes_of, search_constants
from .numba_solver import solve_tiles
from .packet import ConduitPacket
from .repair import lapack

# Jacobi rotations beat LAPACK up to this size.
LARGEST_JACOBI = 4
# Eigenvectors further from orthogonal than this are not worth refining.
REFINABLE = 0.3
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


def run_tiles(kernel: Callable, n: int, rows: int, *arguments) -> None:
    """Call kernel(dims, *arguments, first, last) over the tiles of `rows` matrices, on torch's threads.

    The first call of a kernel for a size compiles it, or loads it from the cache, under a lock between
    processes: Numba's cache index is not safe when several write it at once.
    """
    dims, tiles = (0,) * n, -(-rows // int(lanes_of.py_func(n)))
    key = (kernel.__name__, n)
    if key not in _ready:
        with _lock, FileLock(CACHE_DIRECTORY / "compile.lock"):
            kernel(dims, *arguments, 0, 0)
        _ready.add(key)
    parts = max(1, min(torch.get_num_threads(), os.cpu_count() or 1, tiles // TILES_PER_THREAD))
    edges = [tiles * part // parts for part in range(parts + 1)]
    spans = list(itertools.pairwise(edges))
    waiting = [pool().submit(kernel, dims, *arguments, *span) for span in spans[1:]]
    kernel(dims, *arguments, *spans[0])
    for job in waiting:
        job.result()


def new_packet(batch: int, n: int) -> tuple[ConduitPacket, Tensor]:
    """A packet with its arrays not yet filled, and the status bits (B,) uint8."""
    packet = ConduitPacket(
        eigenvalues=torch.empty(batch, n),
        eigenvectors=torch.empty(batch, n, n),
        char_coeffs=torch.empty(batch, n),
        friction=torch.empty(batch, n),
        settle=torch.empty(batch, n),
        extraction_order=torch.arange(n, dtype=torch.float32).expand(batch, n),
        refinement_residual=torch.empty(batch),
        rescued=torch.zeros(batch, dtype=torch.bool),
    )
    return packet, torch.empty(batch, dtype=torch.uint8)


def solve(A: Tensor) -> tuple[ConduitPacket, Tensor]:
    """The packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool."""
    A = A.contiguous()
    batch, n, _ = A.shape
    packet, status = new_packet(batch, n)
    outputs = (packet.eigenvalues, packet.eigenvectors, packet.char_coeffs, packet.friction, packet.settle)
    run_tiles(
        solve_tiles, n, batch, search_constants(n), np.float32(math.sqrt(n)), False, A.numpy(),
        np.empty((0, n), np.float32), *(field.numpy() for field in outputs),
        packet.refinement_residual.numpy(), status.numpy(),
    )  # fmt: skip
    invalid = torch.zeros(batch, dtype=torch.bool)
    flagged = np.flatnonzero(status.numpy())  # few: what follows touches these rows only
    if len(flagged):
        flagged = torch.from_numpy(flagged)
        bits = status[flagged]
        suspect = flagged[(bits & SUSPECT) != 0]
        if len(suspect):
            invalid[suspect] = invalid_rows(A[suspect])
        rows = flagged[((bits & FAILED) != 0) & ~invalid[flagged]]
        packet.rescued[rows] = True
        if len(rows):
            repair(A, packet, rows)
    return packet, invalid


def repair(A: Tensor, packet: ConduitPacket, rows: Tensor) -> None:
    """Replace the eigenpairs of some rows by valid ones: refinement, then Jacobi rotations, then LAPACK."""
    n = A.shape[-1]
    values, vectors = packet.eigenvalues.numpy(), packet.eigenvectors.numpy()
    near = packet.refinement_residual[rows] < REFINABLE
    near, rows = rows[near], rows[~near]
    if len(near):
        good = torch.empty(len(near), dtype=torch.bool)
        run_tiles(refine_tiles, n, len(near), A.numpy(), near.numpy(), values, vectors, good.numpy())
        rows = torch.cat([rows, near[~good]])
    if not len(rows):
        return
    if n <= LARGEST_JACOBI:
        run_tiles(jacobi_tiles, n, len(rows), A.numpy(), rows.numpy(), values, vectors)
        return
    eigenvalues, V = lapack(A[rows].permute(1, 2, 0))
    packet.eigenvalues[rows], packet.eigenvectors[rows] = eigenvalues.T, V.permute(2, 0, 1)


def telemetry_from_svd(Vt: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """(friction, settle), each (B, n), of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32."""
    batch, n, _ = Vt.shape
    friction, settle = torch.empty(batch, n), torch.empty(batch, n)
    none = np.empty(0, np.float32)
    run_tiles(
        solve_tiles, n, batch, search_constants(n), np.float32(math.sqrt(n)), True, Vt.contiguous().numpy(),
        S.contiguous().numpy(), np.empty((0, n), np.float32), np.empty((0, n, n), np.float32),
        np.empty((0, n), np.float32), friction.numpy(), settle.numpy(), none, np.empty(0, np.uint8),
    )  # fmt: skip
    return friction, settle
