"""Theorem 1, lens preservation: watching the solver changes nothing of what it returns."""

from __future__ import annotations

import pytest
import torch

from geolip_theorems.conduit import canonical_signs, conduit
from geolip_theorems.conduit.reference import follow

# The compiled backend at the suite's own size, the reference at others (nothing to compile).
SIZES = [(4, "auto"), (2, "torch"), (3, "torch"), (6, "torch")]


def assert_preserved(A: torch.Tensor, backend: str) -> float:
    """Eigenpairs of rows not rescued are those of the solver without telemetry. Returns their share."""
    plain = follow(A.permute(1, 2, 0).contiguous(), telemetry=False)
    assert plain.friction is None
    packet = conduit(A, backend)
    own = ~packet.rescued
    assert torch.equal(packet.eigenvalues[own], plain.eigenvalues.T[own])
    vectors = canonical_signs(plain.eigenvectors.permute(2, 0, 1))
    assert torch.equal(packet.eigenvectors[own], vectors[own])
    return float(own.float().mean())


@pytest.mark.parametrize(("n", "backend"), SIZES)
def test_random_symmetric_matrices(n, backend, record_property):
    A = torch.randn(4000, n, n, generator=torch.Generator().manual_seed(n))
    share = assert_preserved(A + A.mT, backend)
    record_property("rows_not_rescued", share)
    assert share > 0.95


@pytest.mark.parametrize(("n", "backend"), SIZES)
def test_random_gram_matrices(n, backend, record_property):
    X = torch.randn(4000, 48, n, generator=torch.Generator().manual_seed(n))
    G = X.mT @ X
    share = assert_preserved((G + G.mT) / 2, backend)
    record_property("rows_not_rescued", share)
    assert share > 0.95


def test_a_solver_that_looks_and_touches_is_caught(monkeypatch):
    """Negative control: telemetry that moves one eigenvalue by one unit in the last place."""
    solve = conduit

    def touching(A, backend):
        packet = solve(A, backend)
        packet.eigenvalues[7, 0] = torch.nextafter(packet.eigenvalues[7, 0], torch.tensor(torch.inf))
        return packet

    monkeypatch.setitem(globals(), "conduit", touching)
    A = torch.randn(100, 4, 4, generator=torch.Generator().manual_seed(0))
    with pytest.raises(AssertionError):
        assert_preserved(A + A.mT, "torch")
