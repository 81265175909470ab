"""The compiled repair by itself: rotations against LAPACK in float64, and LAPACK where they do not pass."""

from __future__ import annotations

import platform
import re

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geolip_theorems.conduit import conduit
from tests.conduit.matrices import COMPILED, TOLERANCE, clustered, grams, hard_matrix, low_rank, residuals

numba = pytest.importorskip("numba")
from geolip_theorems.conduit import numba_backend, numba_rotations, numba_setup  # noqa: E402

QUIET = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}


def rotated(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Eigenvalues, eigenvectors, and which rows passed, of A (B, n, n) by rotations alone."""
    batch, n, _ = A.shape
    values, vectors = np.full((batch, n), np.nan, np.float32), np.full((batch, n, n), np.nan, np.float32)
    good = np.zeros(batch, np.bool_)
    tiles = -(-batch // numba_setup.LANES)
    numba_backend.run_tiles(numba_backend.jacobi_tiles, n, tiles, A, np.arange(batch), values, vectors, good)
    return values, vectors, good


@pytest.mark.parametrize("n", COMPILED)
@pytest.mark.parametrize("kind", [grams, clustered, lambda count, n: low_rank(count, n, 1)])
def test_rotations_pass_well_inside_the_limit(n, kind):
    """Eight times better than what is promised, so that LAPACK is for emergencies."""
    A = kind(100, n)
    values, vectors, good = rotated(A.numpy())
    assert good.all()
    assert max(residuals(A, torch.from_numpy(values), torch.from_numpy(vectors))) < TOLERANCE / 8
    expected = np.linalg.eigvalsh(A.double().numpy())
    assert (abs(values - expected) < TOLERANCE / 8 * abs(expected).max(-1, keepdims=True)).all()


@settings(max_examples=40, **QUIET)
@given(data=st.data(), n=st.sampled_from(COMPILED))
def test_rotations_of_hard_matrices(data, n):
    A = np.stack(data.draw(st.lists(hard_matrix(n), min_size=1, max_size=20)))
    values, vectors, good = rotated(A)
    assert good.all()
    assert max(residuals(*map(torch.from_numpy, (A, values, vectors)))) <= TOLERANCE
    alone = rotated(A[-1:])
    assert np.array_equal(alone[0][0], values[-1])
    assert np.array_equal(alone[1][0], vectors[-1])


def test_what_does_not_pass_is_left_alone_and_goes_to_lapack(monkeypatch):
    """With no sweep at all every row fails the test, and LAPACK repairs it."""
    A = clustered(40, 4)

    def none(dims, A, rows, values, vectors, good, first, last):
        good[:] = False

    monkeypatch.setattr(numba_backend, "jacobi_tiles", none)
    sent = []
    monkeypatch.setattr(
        numba_backend, "lapack", lambda A, real=numba_backend.lapack: sent.append(A) or real(A)
    )
    packet = conduit(A, backend="numba")
    assert packet.rescued.all()
    assert sum(x.shape[-1] for x in sent) == 40
    assert max(residuals(A, *packet.eigenpairs())) <= TOLERANCE
    monkeypatch.undo()
    assert torch.equal(packet.friction, conduit(A, backend="numba").friction)


def test_the_kernel_refuses_what_it_cannot_do():
    """Negative control of `good`: NaN never passes, its row stays as it was, its neighbours are repaired."""
    A = grams(3, 4).numpy()
    A[1, 2, 2] = np.nan
    values, vectors, good = rotated(A)
    assert good.tolist() == [True, False, True]
    assert np.isnan(values[1]).all()
    assert np.isnan(vectors[1]).all()
    assert np.isfinite(vectors[[0, 2]]).all()


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
def test_rotations_are_vector_instructions():
    @numba.njit(**numba_setup.OPTIONS)
    def kernel(A, V):
        numba_rotations.diagonalise((0, 0, 0, 0, 0), A, V)

    kernel(np.zeros((5, 6, numba_setup.LANES), np.float32), np.zeros((5, 6, numba_setup.LANES), np.float32))
    (assembly,) = kernel.inspect_asm().values()
    counts = {kind: len(re.findall(rf"\bv?(?:div|sqrt){kind}s\s", assembly)) for kind in "ps"}
    assert counts["p"] >= 4  # two roots and two divisions a rotation
    assert counts["s"] == 0
