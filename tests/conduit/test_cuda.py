"""The CUDA kernels: bit for bit the CPU's by the host's compiler, and compiled for cards without one."""

from __future__ import annotations

import contextlib
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.gpu.checks import resources
from geolip_theorems.conduit import backends, conduit, conduit_from_svd, cuda_backend
from geolip_theorems.conduit import repair as repair_module
from tests.conduit import golden, host
from tests.conduit.matrices import (
    COMPILED,
    REPORTED,
    TOLERANCE,
    clustered,
    grams,
    hard_matrix,
    residuals,
    rows_that_differ,
)

SIZES = range(2, 17)
# make gpu ARGS=--dry compiles every size for every card.
CARDS = [(n, card) for n in COMPILED for card in ("sm_80", "sm_90", "sm_100") if n <= 4 or card == "sm_90"]


@pytest.fixture
def nvrtc():
    """Skips where kernels cannot be compiled for a card."""
    reason = "cuda-core is not installed, or torch brought no NVRTC: pip install 'geolip-theorems[cuda]'"
    pytest.importorskip("cuda.core", reason=reason)
    return pytest.importorskip("cuda.bindings.nvrtc", reason=reason)


def differences(A: torch.Tensor) -> dict[str, int]:
    """Rows that differ from the reference's, eigenpairs where they are its own; from numba's in all."""
    with host.on_the_host():
        ours = conduit(A, backend="cuda", on_invalid="mask").tensors()
    found = {}
    own = ~ours["rescued"]
    for name, value in conduit(A, backend="torch", on_invalid="mask").tensors().items():
        rows = own if name.startswith("eigen") else slice(None)
        found[name] = rows_that_differ(ours[name][rows], value[rows])
    if A.shape[-1] in COMPILED:
        for name, value in conduit(A, backend="numba", on_invalid="mask").tensors().items():
            found[f"numba's {name}"] = rows_that_differ(ours[name], value)
    return {name: rows for name, rows in found.items() if rows}


def matrices(n: int) -> torch.Tensor:
    """Every golden and reported kind, then tiny, huge, zero, overflowing, asymmetric and non-finite ones."""
    kept = golden.load()
    known = [torch.from_numpy(kept[k]) for k in kept if k.startswith(f"n{n}_") and k.endswith("_A")]
    kinds = [make(60, n) for make in REPORTED.values()]
    odd = grams(12, n)
    odd[:4] *= torch.tensor([1e-30, 1e-18, 1e18, 1e35])[:, None, None]
    odd[4] = 0
    odd[5] = 3e38
    odd[6, 0, 1] *= 1.01
    odd[7, 1, 1], odd[8, 0, 0], odd[9, 0, 1] = torch.nan, torch.inf, -torch.inf
    odd[10] = torch.eye(n)
    return torch.cat([*known, *kinds, odd])


@host.MISSES
@pytest.mark.parametrize("n", SIZES)
def test_every_bit_is_the_cpus(n):
    """Repaired rows too are numba's to the bit."""
    A = matrices(n)
    assert differences(A) == {}
    finite = A[:-8]
    with host.on_the_host():
        packet = conduit(finite, backend="cuda")
    assert packet.rescued.any()
    assert max(residuals(finite, *packet.eigenpairs())) <= TOLERANCE


@host.MISSES
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), n=st.sampled_from(COMPILED))
def test_every_bit_of_hard_matrices(data, n):
    A = np.stack(data.draw(st.lists(hard_matrix(n), min_size=1, max_size=6)))
    assert differences(torch.from_numpy(A)) == {}


@host.MISSES
@pytest.mark.parametrize(
    ("text", "another"),
    [("3 * float(i == j) - Y", "3.000001f * float(i == j) - Y"), ("0.5 * (double", "0.500001 * (double")],
)
def test_another_constant_is_seen(text, another, monkeypatch):
    """Negative control: in the path, and in the repair alone."""
    real = cuda_backend.source
    assert real(4).count(text) == 1
    monkeypatch.setattr(cuda_backend, "source", lambda n: real(n).replace(text, another))
    assert differences(matrices(4))


@host.MISSES
@pytest.mark.parametrize("n", SIZES)
def test_telemetry_of_the_svd(n):
    generator = torch.Generator().manual_seed(0)
    Vt = torch.linalg.qr(torch.randn(40, n, n, generator=generator))[0]
    S = torch.rand(40, n, generator=generator)
    S[0], S[1], S[2, 0], S[3] = 0, 1, torch.nan, 1e30
    with host.on_the_host():
        ours = conduit_from_svd(Vt, S, "cuda")
    for mine, reference in zip(ours, conduit_from_svd(Vt, S, "torch"), strict=True):
        assert rows_that_differ(mine, reference) == 0


@host.MISSES
def test_what_rotations_leave_goes_to_lapack(monkeypatch):
    """Without a single sweep no row that needs one passes."""
    A = torch.cat([clustered(40, 4), grams(40, 4)])
    monkeypatch.setattr(repair_module, "MOST_SWEEPS", 0)
    sent = []
    monkeypatch.setattr(
        repair_module, "lapack", lambda A, real=repair_module.lapack: sent.append(A) or real(A)
    )
    with host.on_the_host():
        packet = conduit(A, backend="cuda")
    assert packet.rescued.sum() == sum(x.shape[-1] for x in sent) > 30
    assert max(residuals(A, *packet.eigenpairs())) <= TOLERANCE


class Waits(TorchDispatchMode):
    """Counts what makes the host wait for a card: a number read, or a shape that depends on the data."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function.name() in ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select")
        return function(*args, **(kwargs or {}))


@host.MISSES
def test_the_host_waits_once(monkeypatch):
    """Repairs cost no wait; an invalid row, the negative control, does."""
    A = torch.cat([clustered(40, 4), grams(40, 4)])
    with host.on_the_host(), Waits() as waits:
        packet = conduit(A, backend="cuda")
    assert packet.rescued.any()
    assert waits.count == 1
    A[3] = torch.nan
    with host.on_the_host(), Waits() as waits:
        conduit(A, backend="cuda", on_invalid="mask")
    assert waits.count > 1


@pytest.mark.parametrize(("n", "card"), CARDS)
def test_kernels_compile_for_cards(nvrtc, n, card, record_property):
    """Up to n = 4 nothing spills out of a thread's 255 registers; above, matrices are in its local memory."""
    _, found = resources(n, card)
    for kernel, (registers, stack, spilled) in found.items():
        record_property(f"{kernel}: registers, bytes of stack, bytes spilled", (registers, stack, spilled))
        assert registers <= (255 if n <= 4 else 64)
        assert spilled <= (0 if n <= 4 else 256)
        assert stack <= (0 if n <= 4 else 75 * n * n)
    assert set(found) >= {"solve", "telemetry"}


def test_five_rows_do_not_fit_in_registers(nvrtc, monkeypatch):
    """Negative control of the limit."""
    monkeypatch.setattr(cuda_backend, "LARGEST_IN_REGISTERS", 5)
    assert resources(5, "sm_90")[1]["solve"][2] > 0


@pytest.mark.parametrize("exact", [True, False])
def test_arithmetic_is_ieees(nvrtc, exact):
    """Rounded divisions and roots, nothing fused, denormal numbers kept."""
    from cuda.core import ProgramOptions

    options = ProgramOptions(arch="sm_90", **(cuda_backend.EXACT if exact else {"use_fast_math": True}))
    options = options.as_bytes("nvrtc")
    _, program = nvrtc.nvrtcCreateProgram(cuda_backend.source(4).encode(), b"conduit", 0, [], [])
    nvrtc.nvrtcCompileProgram(program, len(options), options)
    code = b" " * nvrtc.nvrtcGetPTXSize(program)[1]
    nvrtc.nvrtcGetPTX(program, code)
    code = code.decode()
    assert ("div.rn.f32" in code) == ("sqrt.rn.f32" in code) == exact
    assert any(word in code for word in ("fma.rn", ".ftz", "div.full", "div.approx", "sqrt.approx")) != exact


def test_binaries_are_kept_between_processes_and_damaged_ones_are_not_used(nvrtc, monkeypatch, tmp_path):
    calls = []
    real = cuda_backend.compiled
    monkeypatch.setattr(cuda_backend, "compiled", lambda *how: calls.append(how) or real(*how))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    first = cuda_backend.kept(2, "sm_90")
    assert cuda_backend.kept(2, "sm_90") == first
    assert calls == [(2, "sm_90")]
    (path,) = tmp_path.glob("conduit-*/*.cubin")
    whole = path.read_bytes()
    for damaged in (b"", whole[:-1], whole[:50] + b"x" + whole[51:]):
        path.write_bytes(damaged)
        assert cuda_backend.kept(2, "sm_90") == first
        assert path.read_bytes() == whole
    assert len(calls) == 4
    assert cuda_backend.kept(2, "sm_80") != first
    monkeypatch.setattr(repair_module, "MOST_SWEEPS", 29)
    cuda_backend.kept(2, "sm_90")
    assert len(calls) == 6

    def nowhere(pattern):
        raise OSError

    monkeypatch.setattr(cuda_backend, "cache_directory", nowhere)
    cuda_backend.kept(2, "sm_90")
    assert len(calls) == 7


def test_a_launch_covers_every_row_on_torchs_stream(nvrtc, monkeypatch):
    """All but the launch itself, which needs a card."""
    import cuda.core

    launches, streams = [], []
    monkeypatch.setattr(cuda.core, "launch", lambda *what: launches.append(what))
    monkeypatch.setattr(cuda.core, "Stream", SimpleNamespace(from_handle=streams.append))
    library = SimpleNamespace(get_kernel=lambda name: (*key, name))
    key = []
    monkeypatch.setattr(cuda_backend, "loaded", lambda *what: key.extend(what) or library)
    monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: SimpleNamespace(cuda_stream=77))
    A = grams(cuda_backend.BLOCK + 1, 3)
    cuda_backend.solve(A)
    ((_, config, kernel, batch, *pointers),) = launches
    assert streams == [77]
    assert kernel == (3, "sm_90", "solve")
    assert (config.grid, config.block, batch) == ((2, 1, 1), (cuda_backend.BLOCK, 1, 1), len(A))
    assert pointers[0] == A.data_ptr()
    assert len(pointers) == 9


def test_without_cuda_core_torch_takes_over(monkeypatch):
    """One warning, which says what is missing."""
    cuda = torch.device("cuda")
    monkeypatch.setitem(sys.modules, "cuda.core", SimpleNamespace())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backends.choose("auto", cuda).name == "cuda"
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    backends.warn_once.cache_clear()
    with pytest.warns(UserWarning, match=r"cuda is not available for cuda tensors .*pip install .*\[cuda\]"):
        assert backends.choose("auto", cuda) is backends.TORCH
    backends.warn_once.cache_clear()
