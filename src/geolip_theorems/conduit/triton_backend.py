"""The Triton backend: CUDA tensors (or CPU tensors under TRITON_INTERPRET=1) in, packets out.

One launch a chunk for n <= 6; larger matrices do not fit a thread's registers and take the torch reference.
Not measured on a GPU yet: the block size is an estimate from register use.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import torch
import triton  # noqa: F401  (an ImportError here makes the caller fall back to torch)
from torch import Tensor

from . import torch_backend
from .cache import cache_directory
from .checks import invalid_rows
from .packet import ConduitPacket, canonical_signs
from .repair import TEST_LIMIT, repair
from .triton_kernels import LARGEST_TRITON, kernel_module

BLOCK = 64
# Rows of one launch; indices inside a kernel are 64-bit, so this bounds memory and the grid, not correctness.
CHUNK = 2**24
SUSPECT_ASYMMETRY = 0.9e-10
FAILED, SUSPECT = 1, 2
_compiling = threading.Lock()


@contextlib.contextmanager
def quick_compiler() -> Iterator[None]:
    """Triton's compiler without the pass TritonGPUCoalesce: minutes for n = 6, and the binary is the same.

    The pass looks for a better order of loads and stores; these kernels' threads have a row each, in order.
    """
    from triton.backends.nvidia.compiler import passes

    with _compiling:  # other kernels, compiled meanwhile by other threads, need the pass
        add = getattr(passes.ttgpuir, "add_coalesce", None)
        passes.ttgpuir.add_coalesce = lambda manager: None
        try:
            yield
        finally:
            passes.ttgpuir.add_coalesce = add


def launch(A: Tensor, S: Tensor, packet: ConduitPacket, status: Tensor, fused: bool) -> None:
    n = A.shape[-1]
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    solve = kernel_module(n, cache_directory("triton_*.py"), interpreted).solve
    device = torch.cuda.device(A.device) if A.is_cuda else contextlib.nullcontext()
    compiling = contextlib.nullcontext() if interpreted else quick_compiler()
    fields = ("eigenvalues", "eigenvectors", "char_coeffs", "friction", "settle", "refinement_residual")
    with device, compiling:
        for start in range(0, len(A), CHUNK):
            rows = slice(start, start + CHUNK)
            count = len(A[rows])
            solve[(-(-count // BLOCK),)](
                A[rows], S[rows] if fused else S, *(getattr(packet, name)[rows] for name in fields),
                status[rows], count, LIMIT=TEST_LIMIT, SKEW=SUSPECT_ASYMMETRY, FUSED=fused,
                DEVICE=not interpreted, BLOCK=BLOCK, num_warps=max(1, BLOCK // 32), enable_fp_fusion=False,
            )  # fmt: skip


def solve(A: Tensor) -> tuple[ConduitPacket, Tensor]:
    """The packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool."""
    if A.shape[-1] > LARGEST_TRITON:
        return torch_backend.solve(A)
    A = A.contiguous()
    packet = torch_backend.empty_packet(A)
    status = torch.zeros(len(A), dtype=torch.uint8, device=A.device)
    launch(A, A, packet, status, fused=False)
    packet.rescued = (status & FAILED) != 0
    if not status.any():  # the only time that the host waits, where all went well
        return packet, None
    suspect = (status & SUSPECT) != 0
    invalid = torch.zeros_like(suspect)
    invalid[suspect] = invalid_rows(A[suspect])
    packet.rescued &= ~invalid
    rows = packet.rescued.nonzero()[:, 0]
    for some in rows.split(torch_backend.chunk_rows(A.shape[-1])) if len(rows) else ():
        eigenvalues, V = repair(
            A[some].permute(1, 2, 0).contiguous(),
            packet.eigenvalues[some].T.contiguous(),
            packet.eigenvectors[some].permute(1, 2, 0).contiguous(),
        )
        packet.eigenvalues[some] = eigenvalues.T
        packet.eigenvectors[some] = canonical_signs(V.permute(2, 0, 1))
    return packet, invalid


def telemetry_from_svd(Vt: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """(friction, settle), each (B, n), of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32."""
    if Vt.shape[-1] > LARGEST_TRITON:
        return torch_backend.telemetry_from_svd(Vt, S)
    Vt, S = Vt.contiguous(), S.contiguous()
    none = Vt.new_empty(len(Vt))  # never written: the kernel stores telemetry only
    friction, settle = torch.empty_like(S), torch.empty_like(S)
    packet = ConduitPacket(none, none, none, friction, settle, none, none, none)
    launch(Vt, S, packet, none, fused=True)
    return friction, settle
