"""The conduit against its peers: by size, by batch, on clustered spectra, and from (Vt, S)."""

from __future__ import annotations

import functools

import pytest
import torch

from geolip_theorems.conduit import conduit, conduit_from_svd

SIZES = (2, 3, 4, 6, 8, 12, 16)
BATCHES = (256, 4096, 65_536, 1_048_576)
GPU_BATCHES = (*BATCHES, 10_000_000)
# Entries of A above which a peer is left out on a CPU: its slowness would take the time of all the others.
MOST_WORK = {
    "conduit": 3e8,
    "eigh float32": 2e7,
    "eigh float64": 1.1e6,
    "reference": 1.1e6,
    "original": 1.1e6,
    "compiled reference": 1.1e6,
}
MOST_BYTES = 4 * 2**30  # of input
CHUNK = 65_536  # cuSOLVER's batched solver fails on larger batches
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def grams(count: int, n: int) -> torch.Tensor:
    """Ordinary Gram matrices, of 48 normal rows."""
    X = torch.randn(min(count, 65_536), 48, n, generator=torch.Generator().manual_seed(0))
    G = X.mT @ X
    return (0.5 * (G + G.mT)).repeat(-(-count // len(G)), 1, 1)[:count].to(DEVICE)


def clustered(count: int, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(count, n, n, generator=generator, dtype=torch.float64))[0]
    values = 1 + 1e-6 * torch.rand(count, n, generator=generator, dtype=torch.float64)
    values[:, -1] = 2
    A = ((Q * values[:, None]) @ Q.mT).float()
    return (0.5 * (A + A.mT)).to(DEVICE)


def chunked_eigh(A: torch.Tensor):
    return [torch.linalg.eigh(part) for part in A.split(CHUNK if A.is_cuda else len(A))]


@functools.cache
def compiled_reference():
    from geolip_theorems.conduit.reference import follow

    compiled = torch.compile(follow)
    compiled(torch.eye(4).reshape(4, 4, 1).repeat(1, 1, 8).to(DEVICE))
    return compiled


def solver(name: str):
    """A function of A, or a skip where the peer is not there."""
    if name == "conduit":
        return conduit
    if name == "eigh float32":
        return chunked_eigh
    if name == "eigh float64":
        return lambda A: chunked_eigh(A.double())
    if name == "reference":
        return functools.partial(conduit, backend="torch")
    if name == "original":
        module = pytest.importorskip("geolip_core.linalg.conduit", exc_type=ImportError)
        return module.FLEighConduit()
    try:
        compiled = compiled_reference()
    except Exception as error:  # no compiler, or a graph it cannot trace: what "where it works" means
        pytest.skip(f"torch.compile does not work here: {type(error).__name__}")
    return lambda A: compiled(A.permute(1, 2, 0).contiguous())


def time_solver(timed, name: str, A: torch.Tensor) -> None:
    if name == "compiled reference" and A.shape[-1] != 4:
        pytest.skip("compiled for n = 4 only: each size takes minutes")
    call = solver(name)
    if name != "conduit" and A.device.type == "cpu" and A.numel() > MOST_WORK[name]:
        pytest.skip("too slow for this batch on a CPU")
    info = {"rescued": float(conduit(A[:16_384]).rescued.float().mean())} if name == "conduit" else {}
    rounds = 20 if A.numel() < 2e6 else 3 if A.numel() < 2e7 else 1
    timed(name, len(A), lambda: call(A), rounds=rounds, **info)


@pytest.mark.parametrize("name", MOST_WORK)
@pytest.mark.parametrize("n", SIZES)
def test_size(benchmark, timed, n, name):
    benchmark.group = f"gram n={n:02d} batch=16384"
    time_solver(timed, name, grams(16_384, n))


@pytest.mark.parametrize("name", MOST_WORK)
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("batch", GPU_BATCHES if DEVICE == "cuda" else BATCHES)
def test_batch(benchmark, timed, batch, n, name):
    if batch * n * n > MOST_BYTES / 4:
        pytest.skip("does not fit: the packet alone takes about twice the input")
    benchmark.group = f"gram n={n:02d} batch={batch}"
    time_solver(timed, name, grams(batch, n))


@pytest.mark.parametrize("name", ["conduit", "eigh float32", "eigh float64"])
@pytest.mark.parametrize("n", SIZES)
def test_clustered(benchmark, timed, n, name):
    benchmark.group = f"clustered n={n:02d} batch=4096"
    time_solver(timed, name, clustered(4096, n))


@pytest.mark.parametrize("name", ["fused", "einsum then conduit", "einsum alone"])
def test_gram_assembly(benchmark, timed, name):
    benchmark.group = "telemetry from (Vt, S) n=04 batch=16384"
    generator = torch.Generator().manual_seed(0)
    Vt = torch.linalg.qr(torch.randn(16_384, 4, 4, generator=generator))[0].to(DEVICE)
    S = (torch.rand(16_384, 4, generator=generator) + 0.5).to(DEVICE)

    def gram():
        return torch.einsum("bki,bk,bkj->bij", Vt, S * S, Vt)

    calls = {
        "fused": lambda: conduit_from_svd(Vt, S),
        "einsum then conduit": lambda: conduit(gram()),
        "einsum alone": gram,
    }
    timed(name, 16_384, calls[name], rounds=20)
