"""The CUDA backend: CUDA tensors in, packets out, by one launch of what NVRTC makes of conduit.cuh."""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..io.files import write_atomically
from . import checks, reference, repair
from .cache import cache_directory
from .packet import ConduitPacket
from .torch_backend import empty_packet

BLOCK = 64  # threads; an estimate from the registers, not measured
LARGEST_IN_REGISTERS = 4
SUSPECT, LEFT, OVERFLOW = 1, 2, 4
# IEEE's arithmetic, as on the CPU: no contraction, no flush to zero, rounded divisions and roots.
EXACT = {"fma": False, "ftz": False, "prec_div": True, "prec_sqrt": True}
SHARED = {
    reference: ("LAGUERRE_STEPS", "POLISH_STEPS", "SMALLEST_SCALE", "FRICTION_DELTA", "SETTLE_THRESHOLD"),
    repair: ("TEST_LIMIT", "NEGLIGIBLE", "MOST_SWEEPS"),
    checks: ("SUSPECT_ASYMMETRY",),
}


def source(n: int) -> str:
    """conduit.cuh for n = 2..16, with the other modules' constants before it."""
    real = "float" if n <= reference.LARGEST_FLOAT32_SEARCH else "double"
    offsets = ", ".join(f"{real}({offset!r})" for offset in reference.start_offsets(n).tolist())
    words = {"N": n, "BLOCK": BLOCK, "IN_REGISTERS": LARGEST_IN_REGISTERS, "ROOT_OF_N": math.sqrt(n)}
    words |= {"SUSPECT": SUSPECT, "LEFT": LEFT, "OVERFLOW": OVERFLOW, "Search": real}
    words |= {name: getattr(module, name) for module, names in SHARED.items() for name in names}
    words = {k: f"float({v!r})" if isinstance(v, float) else v for k, v in words.items()}
    lines = [f"#define {name} {value}\n" for name, value in {**words, "OFFSETS": f"{{{offsets}}}"}.items()]
    return "".join(lines) + Path(__file__).with_name("conduit.cuh").read_text()


def compiled(n: int, architecture: str, log: Any = None) -> bytes:
    """The kernels' binary for ``sm_90`` or another; needs no device. log: where to write what ptxas says."""
    from cuda.core import Program, ProgramOptions

    options = ProgramOptions(arch=architecture, ptxas_options=["-v"], **EXACT)
    return Program(source(n), "c++", options).compile("cubin", logs=log).code


def kept(n: int, architecture: str) -> bytes:
    """The same from the cache if it is whole there; else compiled, and kept where a folder can be written."""
    from cuda.bindings import nvrtc

    words = repr((source(n), architecture, nvrtc.nvrtcVersion(), EXACT))
    try:
        path = cache_directory("conduit.cuh") / f"{hashlib.sha256(words.encode()).hexdigest()[:32]}.cubin"
    except OSError:
        return compiled(n, architecture)
    content = path.read_bytes() if path.is_file() else b""
    digest, binary = content[:32], content[32:]
    if digest != hashlib.sha256(binary).digest():
        binary = compiled(n, architecture)
        whole = hashlib.sha256(binary).digest() + binary
        write_atomically(path, lambda temporary: Path(temporary).write_bytes(whole))
    return binary


@functools.cache
def loaded(n: int, architecture: str) -> Any:
    from cuda.core import ObjectCode

    return ObjectCode.from_cubin(kept(n, architecture))


def run(kernel: str, *arrays: Tensor) -> None:
    """Launch a kernel on contiguous arrays, the first (B, n, n), on torch's stream of their device."""
    from cuda.core import LaunchConfig, Stream, launch

    batch, n, device = len(arrays[0]), arrays[0].shape[-1], arrays[0].device
    with torch.cuda.device(device):
        launch(
            Stream.from_handle(torch.cuda.current_stream(device).cuda_stream),
            LaunchConfig(grid=-(-batch // BLOCK), block=BLOCK),
            loaded(n, "sm_{}{}".format(*torch.cuda.get_device_capability(device))).get_kernel(kernel),
            batch,
            *(array.data_ptr() for array in arrays),
        )


def solve(A: Tensor) -> tuple[ConduitPacket, Tensor | None]:
    """The packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool.

    None instead where no row is invalid and every eigenvalue is finite.
    """
    A, p = A.contiguous(), empty_packet(A)
    status = torch.empty(len(A), dtype=torch.uint8, device=A.device)
    if len(A):
        telemetry = (p.char_coeffs, p.friction, p.settle, p.refinement_residual, p.rescued)
        run("solve", A, p.eigenvalues, p.eigenvectors, *telemetry, status)
    if not status.any():  # the only time that the host waits, where every row is valid
        return p, None
    suspect = (status & SUSPECT) != 0
    invalid = torch.zeros_like(suspect)
    invalid[suspect] = checks.invalid_rows(A[suspect])
    p.rescued &= ~invalid
    left = p.rescued & ((status & LEFT) != 0)
    if left.any():
        eigenvalues, V = repair.lapack(A[left].permute(1, 2, 0))
        p.eigenvalues[left], p.eigenvectors[left] = eigenvalues.T, V.permute(2, 0, 1)
    return p, invalid


def telemetry_from_svd(Vt: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """(friction, settle), each (B, n), of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32."""
    Vt, S = Vt.contiguous(), S.contiguous()
    friction, settle = torch.empty_like(S), torch.empty_like(S)
    if len(S):
        run("telemetry", Vt, S, friction, settle)
    return friction, settle
