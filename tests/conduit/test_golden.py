"""The reference against the golden packets of the original solver, judged by the envelope."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from geolip_theorems.conduit import conduit
from geolip_theorems.conduit.reference import follow

DATA = Path(__file__).parents[1] / "data" / "conduit.npz"
SIZES = (2, 3, 4, 5, 6, 8, 12, 16)
# Kinds whose path is well defined. The others (repeated, clustered, rank one, identity) amplify rounding
# noise without bound: there friction is compared in magnitude, below.
ORDINARY = ("separated", "symmetric", "gram", "diagonal", "tiny", "huge")
DEGENERATE = ("repeated", "clustered", "rank1", "identity", "zero")
# Quantiles need numbers: the eight tiny and eight huge matrices of a size are Gram matrices too: they join.
FAMILIES = {"gram": ("gram", "tiny", "huge")}
QUANTILES = (0.5, 0.9, 0.99)


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(DATA) as file:
        return dict(file)


def family(golden: dict[str, np.ndarray], n: int, kind: str, field: str) -> np.ndarray:
    return np.concatenate([golden[f"n{n}_{member}_{field}"] for member in FAMILIES.get(kind, (kind,))])


def telemetry(A: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """friction and settle of the reference path, each of A's shape without its last axis."""
    path = follow(A.reshape(-1, *A.shape[-2:]).permute(1, 2, 0).contiguous())
    return path.friction.T.reshape(A.shape[:-1]).numpy(), path.settle.T.reshape(A.shape[:-1]).numpy()


def ulp_moves(A: torch.Tensor, draws: int = 8) -> torch.Tensor:
    """A (B, n, n) with every entry moved one unit in the last place, up or down, symmetrically."""
    signs = torch.rand((draws, *A.shape), generator=torch.Generator().manual_seed(0)) < 0.5
    moved = torch.nextafter(A.expand_as(signs), torch.where(signs, torch.inf, -torch.inf))
    return torch.where(torch.ones(A.shape[-2:], dtype=torch.bool).triu(), moved, moved.mT)


def difference(x: np.ndarray, y: np.ndarray, log: bool) -> np.ndarray:
    x, y = x.astype(np.float64), y.astype(np.float64)
    # An iterate that ran away has |p'| beyond float32 and adds exactly nothing, so friction can be 0.
    return np.abs(np.log10((x + 1e-30) / (y + 1e-30))) if log else np.abs(x - y) / y


def inside_envelope(difference_to_golden: np.ndarray, difference_when_moved: np.ndarray) -> bool:
    """Quantiles 50, 90 and 99 % of the first at most twice those of the second."""
    here, moved = (np.quantile(d, QUANTILES) for d in (difference_to_golden, difference_when_moved))
    return bool((here <= 2 * moved).all())


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
def test_coefficients_and_trajectories_match(golden, n, kind):
    packet = conduit(torch.from_numpy(golden[f"n{n}_{kind}_A"]), backend="torch", research=True)
    got, expected = packet.char_coeffs.numpy(), golden[f"n{n}_{kind}_char_coeffs"]
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5)
    np.testing.assert_array_equal(packet.extraction_order.numpy(), golden[f"n{n}_{kind}_extraction_order"])
    first = packet.z_trajectory[:, 0, 0].numpy()
    np.testing.assert_allclose(first, golden[f"n{n}_{kind}_z_trajectory"][:, 0, 0], rtol=1e-6, atol=1e-6)
    assert packet.mstore.shape == (n + 1, *packet.eigenvectors.shape)
