"""For every finite symmetric matrix the conduit returns a valid eigenbasis."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geolip_theorems.conduit import conduit
from tests.conduit.matrices import COMPILED, TOLERANCE, clustered, grams, hard_matrix, residuals

DATA = Path(__file__).parents[1] / "data" / "conduit.npz"
QUIET = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}


def assert_valid(A: torch.Tensor, backend: str) -> None:
    packet = conduit(A, backend=backend)
    reconstruction, orthogonality = residuals(A, *packet.eigenpairs())
    assert reconstruction <= TOLERANCE
    assert orthogonality <= TOLERANCE
    assert (packet.eigenvalues.diff(dim=-1) >= 0).all()
    expected = np.linalg.eigvalsh(A.double().numpy())
    size = np.abs(expected).max(-1, keepdims=True)
    assert (np.abs(packet.eigenvalues.double().numpy() - expected) <= TOLERANCE * size).all()


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 6, 8, 12, 16])
def test_every_golden_kind(n, backend):
    with np.load(DATA) as golden:
        keys = [k for k in golden.files if k.startswith(f"n{n}_") and k.endswith("_A")]
        assert len(keys) == 11
        for key in keys:
            assert_valid(torch.from_numpy(golden[key]), backend)


@pytest.mark.parametrize("n", COMPILED)
@settings(max_examples=25, **QUIET)
@given(data=st.data())
def test_hard_matrices(n, data):
    A = torch.from_numpy(np.stack(data.draw(st.lists(hard_matrix(n), min_size=1, max_size=8))))
    assert_valid(A, "numba")


@settings(max_examples=25, **QUIET)
@given(data=st.data(), n=st.integers(2, 16))
def test_hard_matrices_in_torch(data, n):
    A = torch.from_numpy(np.stack(data.draw(st.lists(hard_matrix(n), min_size=1, max_size=8))))
    assert_valid(A, "torch")


def test_the_residuals_notice_wrong_pairs():
    """Negative control: the original's own eigenpairs of clustered spectra do not pass."""
    with np.load(DATA) as golden:
        fields = ("A", "eigenvalues", "eigenvectors")
        A, L, V = (torch.from_numpy(golden[f"n4_clustered_{field}"]) for field in fields)
    assert max(residuals(A, L, V)) > 100 * TOLERANCE
    packet = conduit(grams(64, 4), backend="torch")
    bent = packet.eigenvectors.clone()
    bent[5, :, 1] *= 1.0001
    assert residuals(grams(64, 4), packet.eigenvalues, bent)[1] > TOLERANCE


@pytest.mark.parametrize("n", [n for n in COMPILED if n <= 4])
def test_ordinary_gram_matrices_are_rarely_rescued(n):
    assert conduit(grams(20_000, n), backend="numba").rescued.float().mean() <= 0.01


def test_rescue_marks_clustered_spectra_and_spares_good_rows():
    mixed = torch.cat([clustered(40, 4), grams(40, 4)])
    rescued = conduit(mixed, backend="numba").rescued
    assert rescued[:40].float().mean() > 0.9
    assert not rescued[40:].any()
