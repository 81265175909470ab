"""The reference against the golden packets of the original solver, judged by the envelope."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from geolip_theorems.conduit import conduit
from tests.conduit.golden import (
    DEGENERATE,
    ORDINARY,
    SIZES,
    difference,
    family,
    inside_envelope,
    load,
    telemetry,
    ulp_moves,
)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    return load()


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ["separated", "symmetric", "gram", "diagonal", *DEGENERATE])
def test_friction_and_settle_are_inside_the_envelope(golden, n, kind):
    A = torch.from_numpy(family(golden, n, kind, "A"))
    (friction, settle), (moved_friction, moved_settle) = telemetry(A), telemetry(ulp_moves(A))
    log = kind in DEGENERATE
    assert inside_envelope(
        difference(friction, family(golden, n, kind, "friction"), log),
        difference(moved_friction, friction[None], log),
    )
    assert inside_envelope(
        np.abs(settle - family(golden, n, kind, "settle")), np.abs(moved_settle - settle[None])
    )


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("fault", ["tenth of a per cent", "roots in another order", "settle one late"])
def test_the_envelope_notices_faults(golden, n, fault):
    """Negative control: small errors that a wrong solver could make fall outside the envelope."""
    A = torch.from_numpy(golden[f"n{n}_symmetric_A"])
    (friction, settle), (moved_friction, moved_settle) = telemetry(A), telemetry(ulp_moves(A))
    if fault == "settle one late":
        wrong = np.abs(settle + 1 - golden[f"n{n}_symmetric_settle"])
        assert not inside_envelope(wrong, np.abs(moved_settle - settle[None]))
        return
    wrong = friction * np.float32(1.001) if fault == "tenth of a per cent" else friction[:, ::-1]
    assert not inside_envelope(
        difference(wrong, golden[f"n{n}_symmetric_friction"], log=False),
        difference(moved_friction, friction[None], log=False),
    )


@pytest.mark.parametrize("n", [n for n in SIZES if n <= 8])
@pytest.mark.parametrize("kind", ["separated", "symmetric", "gram"])
def test_eigenvalues_match_where_the_original_is_right(golden, n, kind):
    A = golden[f"n{n}_{kind}_A"]
    right = golden[f"n{n}_{kind}_refinement_residual"] < 1e-6
    assert right.mean() > 0.5
    eigenvalues = conduit(torch.from_numpy(A), backend="torch").eigenvalues.numpy()
    scale = np.linalg.norm(A, 2, axis=(-2, -1))[:, None]
    error = np.abs(eigenvalues - golden[f"n{n}_{kind}_eigenvalues"]) / scale
    assert error[right].max() < 1e-5
    vectors = conduit(torch.from_numpy(A), backend="torch").eigenvectors.numpy()
    gap = np.diff(eigenvalues, axis=-1).min(-1) / scale[:, 0]
    clear = right & (gap > 1e-2)
    assert np.abs(vectors - golden[f"n{n}_{kind}_eigenvectors"])[clear].max() < 1e-4


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ORDINARY)
def test_coefficients_match(golden, n, kind):
    packet = conduit(torch.from_numpy(golden[f"n{n}_{kind}_A"]), backend="torch")
    got, expected = packet.char_coeffs.numpy(), golden[f"n{n}_{kind}_char_coeffs"]
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5)
    np.testing.assert_array_equal(packet.extraction_order.numpy(), golden[f"n{n}_{kind}_extraction_order"])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("kind", ["separated", "symmetric", "gram"])
@pytest.mark.parametrize("field", ["z_trajectory", "dp_trajectory"])
def test_trajectories_are_inside_the_envelope(golden, n, kind, field):
    A = torch.from_numpy(family(golden, n, kind, "A"))
    moves = ulp_moves(A, draws=4)
    expected = family(golden, n, kind, field)
    here = getattr(conduit(A, research=True), field).numpy()
    moved = getattr(conduit(moves, research=True), field).numpy()
    # What is rounding noise beside the values of a root is not compared relative to itself.
    size = np.abs(here).max(-1, keepdims=True) + 1e-30
    to_golden, to_moved = np.abs(here - expected) / size, np.abs(moved - here[None]) / size
    assert inside_envelope(to_golden, to_moved)
    wrong = expected[..., ::-1]  # negative control: the steps in another order
    assert not inside_envelope(np.abs(here - wrong) / size, to_moved)


@pytest.mark.parametrize("n", SIZES)
def test_research_adds_what_the_telemetry_is_made_of(golden, n):
    """Friction and settle follow from the trajectories, the Faddeev-LeVerrier matrices from A."""
    A = torch.from_numpy(golden[f"n{n}_symmetric_A"])
    plain, packet = conduit(A, backend="torch"), conduit(A, research=True)
    for name, value in plain.tensors().items():
        assert torch.equal(value, getattr(packet, name)), name
    assert packet.z_trajectory.shape == packet.dp_trajectory.shape == (len(A), n, 5)
    terms = 1 / (packet.dp_trajectory + 1e-8)
    torch.testing.assert_close(terms.sum(-1).sort().values, packet.friction.sort().values, rtol=1e-5, atol=0)
    M, s = packet.mstore, (A.double().norm(dim=(1, 2)) / n**0.5)[:, None, None]
    assert M.shape == (n + 1, len(A), n, n)
    assert M.dtype == torch.float64
    eye, c = torch.eye(n, dtype=torch.float64), packet.char_coeffs.double()[..., None, None]
    assert not M[0].any()
    assert torch.equal(M[1], eye.expand_as(M[1]))
    for k in range(2, n + 1):
        torch.testing.assert_close(M[k], A / s @ M[k - 1] + c[:, n - k + 1] * eye, rtol=1e-5, atol=2e-5)
    # Cayley and Hamilton: one step more gives zero.
    assert (A / s @ M[n] + c[:, 0] * eye).abs().max() < 1e-4
