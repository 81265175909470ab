"""What the conduit accepts and refuses, dtypes, shapes, masks and chunks."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from geolip_theorems.conduit import backends, conduit, conduit_from_svd, torch_backend
from geolip_theorems.io.errors import InputError
from tests.conduit import host
from tests.conduit.matrices import clustered, grams, residuals

BACKENDS = ("numba", "torch", pytest.param("cuda", marks=host.MISSES))


@pytest.fixture(autouse=True)
def kernels():
    """The CUDA kernels as the host's compiler makes them."""
    with host.on_the_host():
        yield


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("lead", [(), (1,), (0,), (3, 5), (2, 0, 3)])
def test_leading_shapes(lead, backend):
    A = torch.eye(4).expand(*lead, 4, 4) + torch.diag(torch.arange(4.0))
    packet = conduit(A, backend=backend, research=backend == "torch")
    assert packet.eigenvalues.shape == packet.friction.shape == packet.settle.shape == (*lead, 4)
    assert packet.eigenvectors.shape == (*lead, 4, 4)
    assert packet.rescued.shape == packet.refinement_residual.shape == lead
    if backend == "torch":
        assert packet.z_trajectory.shape == (*lead, 4, 5)
        assert packet.mstore.shape == (5, *lead, 4, 4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_non_contiguous_input(backend):
    A = grams(60, 4)
    strided = torch.stack([A, torch.zeros_like(A)], dim=-1)[..., 0]
    assert torch.equal(conduit(strided, backend=backend).friction, conduit(A, backend=backend).friction)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float64_gets_float64_pairs_and_the_telemetry_of_its_rounding(backend):
    A = torch.cat([grams(50, 4), clustered(10, 4)]).double()
    A = A + 1e-9 * (A.mT + A)
    packet, single = conduit(A, backend=backend), conduit(A.float(), backend=backend)
    assert packet.eigenvalues.dtype == packet.eigenvectors.dtype == torch.float64
    assert max(residuals(A, *packet.eigenpairs())) < 1e-13
    assert torch.equal(packet.friction, single.friction)
    assert torch.equal(packet.rescued, single.rescued)
    assert packet.friction.dtype == torch.float32


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_invalid_rows_are_refused_or_masked(backend, dtype):
    A = grams(24, 4).reshape(6, 4, 4, 4).to(dtype)
    A[2, 1, 0, 3] = A[2, 1, 3, 0] = torch.nan
    A[4, 0, 1, 2] *= 1.01
    A[5, 3] = torch.inf
    with pytest.raises(InputError, match=r"A\[2, 1\] has NaN or infinite entries"):
        conduit(A, backend=backend)
    packet = conduit(A, backend=backend, on_invalid="mask")
    expected = torch.zeros(6, 4, dtype=torch.bool)
    expected[2, 1] = expected[4, 0] = expected[5, 3] = True
    assert torch.equal(packet.invalid, expected)
    assert packet.friction[expected].isnan().all()
    assert packet.eigenvectors[expected].isnan().all()
    assert not packet.rescued[expected].any()
    clean = conduit(A[~expected], backend=backend)
    assert torch.equal(packet.friction[~expected], clean.friction)
    assert torch.equal(packet.eigenvalues[~expected], clean.eigenvalues)
    A[2, 1] = torch.eye(4)
    with pytest.raises(InputError, match=r"A\[4, 0\] is not symmetric"):
        conduit(A, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_asymmetry_of_rounding_is_accepted(backend):
    A = grams(8, 4)
    A[:, 0, 1] += 2e-6 * A.flatten(1).norm(dim=1)
    assert max(residuals(A, *conduit(A, backend=backend).eigenpairs())) < 1e-5
    A[3, 0, 1] += 2e-5 * A[3].norm()
    with pytest.raises(InputError, match=r"A\[3\] is not symmetric"):
        conduit(A, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_the_limit_of_asymmetry(backend, scale):
    """||A - A^T|| just below and just above 1e-5 ||A||, in one entry or in all."""
    A = grams(400, 4) * scale
    skew = torch.randn(A.shape, generator=torch.Generator().manual_seed(0))
    skew[:200] = torch.tensor([[0.0, 1], [0, 0]]).repeat(2, 2)  # entries above the diagonal blocks
    skew = skew - skew.mT
    skew = skew / skew.flatten(1).norm(dim=1)[:, None, None]
    size = A.double().flatten(1).norm(dim=1).float()[:, None, None]
    for share, invalid in ((0.98e-5, False), (1.02e-5, True)):
        packet = conduit(A + 0.5 * share * size * skew, backend=backend, on_invalid="mask")
        assert (packet.invalid == invalid).all(), share


@pytest.mark.parametrize("backend", BACKENDS)
def test_eigenvalues_beyond_float32(backend):
    A = torch.full((2, 4, 4), 3e38)
    A[0] = torch.eye(4)
    with pytest.raises(InputError, match=r"matrix 1 .* beyond float32"):
        conduit(A, backend=backend)
    assert conduit(A, backend=backend, on_invalid="mask").invalid.tolist() == [False, True]
    with pytest.raises(InputError, match=r"A has entries beyond float32's range"):
        conduit(1e39 * torch.eye(3, dtype=torch.float64), backend=backend)
    with pytest.raises(InputError, match=r"A has NaN or infinite entries"):
        conduit(torch.diag(torch.tensor([1.0, torch.inf, 2.0])), backend=backend)


@pytest.mark.parametrize(
    ("A", "message"),
    [
        (np.eye(4), "A is ndarray; expected a torch tensor"),
        (torch.eye(4, dtype=torch.float16), "A is torch.float16; expected float32 or float64"),
        (torch.eye(17), r"A has shape \(17, 17\); expected \(..., n, n\) with n = 2..16"),
        (torch.ones(1, 1), r"A has shape \(1, 1\)"),
        (torch.ones(4), r"A has shape \(4,\)"),
        (torch.ones(3, 4), r"A has shape \(3, 4\)"),
        (torch.eye(4).requires_grad_(), "A requires grad; the conduit has no gradient"),
    ],
)
def test_wrong_input(A, message):
    with pytest.raises(InputError, match=message):
        conduit(A)


def test_unknown_names():
    with pytest.raises(InputError, match="unknown conduit backend 'numbra'; did you mean 'numba'"):
        conduit(torch.eye(4), backend="numbra")
    with pytest.raises(InputError, match="unknown on_invalid 'masc'"):
        conduit(torch.eye(4), on_invalid="masc")


@pytest.mark.parametrize("n", [2, 4, 6, 7, 9, 16])
@pytest.mark.parametrize("backend", BACKENDS)
def test_fused_entry_equals_the_gram_matrix(backend, n):
    Vt = torch.linalg.qr(torch.randn(7, 40, n, n, generator=torch.Generator().manual_seed(0)))[0]
    S = torch.rand(7, 40, n, generator=torch.Generator().manual_seed(1)).sort(descending=True).values
    friction, settle = conduit_from_svd(Vt, S, backend=backend)
    W = Vt * S[..., None]
    G = sum(W[..., k, :, None] * W[..., k, None, :] for k in range(n))
    packet = conduit(G, backend="torch")
    assert torch.equal(friction, packet.friction)
    assert torch.equal(settle, packet.settle)
    with pytest.raises(InputError, match="S has shape"):
        conduit_from_svd(Vt, S[..., :-1], backend=backend)
    with pytest.raises(InputError, match="S requires grad; the conduit has no gradient"):
        conduit_from_svd(Vt, S.clone().requires_grad_(), backend=backend)
    with pytest.raises(InputError, match="Vt requires grad; the conduit has no gradient"):
        conduit_from_svd(Vt.clone().requires_grad_(), S, backend=backend)
    with pytest.raises(InputError, match=r"S is torch\.int64; expected a float32 or float64 tensor"):
        conduit_from_svd(Vt, S.long(), backend=backend)


def test_chunks_change_nothing(monkeypatch):
    A = torch.cat([grams(700, 4), clustered(30, 4)])
    whole = conduit(A, backend="torch", research=True)
    monkeypatch.setattr(torch_backend, "CHUNK_BYTES", 0)
    parts = conduit(A, backend="torch", research=True)
    for name, value in whole.tensors().items():
        assert torch.equal(value, getattr(parts, name)), name


def test_missing_backend_falls_back_with_one_warning(monkeypatch):
    gone = replace(backends.BACKENDS["numba"], usable=lambda device: False)
    monkeypatch.setitem(backends.BACKENDS, "numba", gone)
    backends.warn_once.cache_clear()
    with pytest.warns(UserWarning, match="numba is not available for cpu tensors; using torch"):
        first = conduit(grams(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = conduit(grams(4, 4))
    assert torch.equal(first.friction, again.friction)
    backends.warn_once.cache_clear()


WITHOUT = """
import sys, warnings, torch
sys.modules["numba"] = sys.modules["cuda.core"] = None
from geolip_theorems.conduit import conduit
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for _ in range(3):
        values = conduit(torch.diag(torch.tensor([3.0, 1.0]))).eigenvalues
        conduit(torch.eye(2), backend="cuda")
print(values.tolist(), [str(w.message).split(";")[0] for w in caught])
"""


def test_without_numba_and_cuda_core():
    """Where neither can be imported everything works, with one warning for each."""
    run = subprocess.run([sys.executable, "-c", WITHOUT], stdout=subprocess.PIPE, text=True, check=True)
    numba, cuda = (f"conduit: {name} is not available for cpu tensors" for name in ("numba", "cuda"))
    assert run.stdout.strip() == f"[1.0, 3.0] {[numba, cuda]}"
