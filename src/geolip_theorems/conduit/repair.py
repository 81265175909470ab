"""The residual test of eigenpairs, and the repair of those that fail it (torch, batch last)."""

from __future__ import annotations

import torch
from torch import Tensor

from .reference import (
    SMALLEST_SCALE,
    ordered_sum,
    orthogonality_residual,
    product,
    rayleigh_quotients,
    scale_of,
)

# What every packet promises, of ||V^T V - I|| and of ||A - V L V^T|| / ||A||. The test below asks a little
# more, for the rounding of its own float32 arithmetic, and measures the second residual against ||A||_F / sqrt(n),
# which no norm of A falls below: the promise then holds in the Frobenius and in the spectral norm.
TOLERANCE = 1e-5
TEST_LIMIT = 8e-6


def reconstruction_residual(As: Tensor, scaled_eigenvalues: Tensor, V: Tensor) -> Tensor:
    """||A/s - V (L/s) V^T||_F, (B,) float32."""
    n = As.shape[0]
    difference = As - product(V * scaled_eigenvalues[None], V.transpose(0, 1))
    return ordered_sum((difference * difference).reshape(n * n, -1)).sqrt()


def acceptable(A: Tensor, eigenvalues: Tensor, V: Tensor, orthogonality: Tensor | None = None) -> Tensor:
    """Which eigenpairs (n, B), (n, n, B) pass the test, (B,) bool. NaN fails, and so does s <= 1e-12."""
    s = scale_of(A)
    if orthogonality is None:
        orthogonality = orthogonality_residual(V)
    reconstruction = reconstruction_residual(A / s, eigenvalues * s.reciprocal(), V)
    return (orthogonality <= TEST_LIMIT) & (reconstruction <= TEST_LIMIT) & (s > SMALLEST_SCALE)


def ascending(eigenvalues: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenpairs in ascending order of eigenvalue."""
    order = eigenvalues.sort(dim=0, stable=True).indices
    return eigenvalues.gather(0, order), V.gather(1, order[None].expand_as(V))


def orthonormalised(A: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest repair: one Newton-Schulz step taken from V^T V itself, which squares its error."""
    V = product(
        V, 1.5 * torch.eye(V.shape[0], device=V.device)[:, :, None] - 0.5 * product(V.transpose(0, 1), V)
    )
    return ascending(rayleigh_quotients(A, V), V)


def lapack(A: Tensor) -> tuple[Tensor, Tensor]:
    """The dearest repair, which always works: LAPACK (cuSOLVER on CUDA) in float64 on the symmetric part."""
    symmetric = 0.5 * (A.double() + A.double().transpose(0, 1))
    eigenvalues, V = torch.linalg.eigh(symmetric.permute(2, 0, 1))
    return eigenvalues.T.to(A.dtype), V.permute(1, 2, 0).to(A.dtype)


def repair(A: Tensor, eigenvalues: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Valid eigenpairs for matrices A (n, n, B) whose eigenpairs failed the test, each on its own."""
    eigenvalues, V = orthonormalised(A, V)
    bad = ~acceptable(A, eigenvalues, V)
    if bad.any():
        eigenvalues[:, bad], V[:, :, bad] = lapack(A[:, :, bad])
    return eigenvalues, V
