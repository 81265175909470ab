"""Theorem 5, gauge safety: signs that carry no information change nothing."""

from __future__ import annotations

import pytest
import torch

from geolip_theorems.conduit import canonical_signs, conduit
from geolip_theorems.plugin.grams import has_one_largest_entry, random_grams, random_signs

# The compiled backend at the suite's own size, the reference at others (nothing to compile).
SIZES = [(4, "auto"), (2, "torch"), (3, "torch"), (6, "torch")]


def projectors(V: torch.Tensor) -> torch.Tensor:
    """v v^T for each column, (..., n, n, n): what does not depend on the sign."""
    return V.mT[..., :, None] * V.mT[..., None, :]


@pytest.mark.parametrize(("n", "backend"), SIZES)
def test_telemetry_does_not_see_the_gauge(n, backend):
    """friction(DAD) = friction(A) to the last bit for D = diag(+-1); so are settle and the eigenvalues."""
    A, d = random_grams(2000, n), random_signs(2000, n)
    one, other = conduit(A, backend), conduit(d[:, :, None] * A * d[:, None, :], backend)
    assert torch.equal(one.friction, other.friction)
    assert torch.equal(one.settle, other.settle)
    assert torch.equal(one.eigenvalues, other.eigenvalues)
    gauged = d[:, None, :, None] * projectors(one.eigenvectors) * d[:, None, None, :]
    assert (gauged - projectors(other.eigenvectors)).abs().max() < 1e-5


@pytest.mark.parametrize(("n", "backend"), SIZES)
def test_canonical_vectors_do_not_depend_on_the_solvers_signs(n, backend, record_property):
    V, signs = conduit(random_grams(2000, n), backend).eigenvectors, random_signs(2000, 1, n)
    unique = has_one_largest_entry(V)
    record_property("columns_with_a_unique_largest_entry", float(unique.float().mean()))
    again = canonical_signs(V * signs)
    assert torch.equal(again.mT[unique], V.mT[unique])
    assert torch.equal(projectors(again), projectors(V))


def test_ties_and_repeats_are_compared_by_projector():
    hadamard = torch.tensor([[1.0, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2
    A = hadamard @ torch.diag(torch.tensor([1.0, 2.0, 3.0, 5.0])) @ hadamard
    tied = projectors(conduit(A).eigenvectors)
    assert (tied - projectors(hadamard)).abs().max() < 1e-5
    repeated = hadamard @ torch.diag(torch.tensor([1.0, 2.0, 2.0, 5.0])) @ hadamard
    middle = conduit(repeated).eigenvectors[:, 1:3]
    assert (middle @ middle.T - hadamard[:, 1:3] @ hadamard[:, 1:3].T).abs().max() < 1e-5


def test_another_basis_is_seen():
    """Negative control: a rotation that is no gauge changes friction; flipped signs change raw vectors."""
    A = random_grams(2000, 4)
    Q = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(2)))[0]
    B = Q @ A @ Q.T
    assert (
        conduit(A).friction != conduit((B + B.mT) / 2).friction
    ).float().mean() > 0.7  # the last root's friction is often 5
    V = conduit(A).eigenvectors
    assert not torch.equal(V * random_signs(2000, 1, 4), V)


@pytest.mark.parametrize("power", [-44, -10, 3, 53])
def test_friction_does_not_see_powers_of_two(power):
    """While s stays inside [1e-12, 1e18], whose ends the first and the last of these nearly reach."""
    A = random_grams(2000, 4)
    one, other = conduit(A), conduit(A * 2.0**power)
    assert torch.equal(one.friction, other.friction)
    assert torch.equal(one.settle, other.settle)
    assert torch.equal(one.char_coeffs, other.char_coeffs)


def test_friction_sees_powers_of_two_below_the_least_scale():
    """Negative control: where s is held at 1e-12 the scaled matrix is another one."""
    A = random_grams(2000, 4)
    assert not torch.equal(conduit(A).friction, conduit(A * 2.0**-60).friction)


def test_friction_sees_other_scalings():
    """Negative control: a factor of three rounds differently."""
    A = random_grams(2000, 4)
    assert not torch.equal(conduit(A).friction, conduit(3 * A).friction)
