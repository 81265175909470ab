"""The residual test of eigenpairs, and the repair of those that fail it (torch, batch last)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .reference import (
    SMALLEST_SCALE,
    PathResult,
    ordered_sum,
    orthogonality_residual,
    product,
    reconstruction_residual,
    scale_of,
)

# What every packet promises, of ||V^T V - I|| and of ||A - V L V^T|| / ||A||. The test below asks a little
# more, for the rounding of its own float32 arithmetic, and measures the second residual against
# ||A||_F / sqrt(n), which no norm of A falls below: the promise then holds in the Frobenius and the spectral
# norm.
TOLERANCE = 1e-5
TEST_LIMIT = 8e-6


def passes(path: PathResult) -> Tensor:
    """Which rows of the path's own eigenpairs pass, (B,) bool. NaN fails, and so does s <= 1e-12."""
    good = (path.refinement_residual <= TEST_LIMIT) & (path.reconstruction_residual <= TEST_LIMIT)
    return good & (path.scale > SMALLEST_SCALE)


def acceptable(A: Tensor, eigenvalues: Tensor, V: Tensor) -> Tensor:
    """The same test for other eigenpairs, (n, B) and (n, n, B)."""
    s = scale_of(A)
    reconstruction = reconstruction_residual(A / s, eigenvalues / s, V)
    good = (orthogonality_residual(V) <= TEST_LIMIT) & (reconstruction <= TEST_LIMIT)
    return good & (s > SMALLEST_SCALE)


def refined(A: Tensor, V: Tensor, steps: int = 3) -> tuple[Tensor, Tensor]:
    """The cheapest repair, for nearly right eigenvectors: iterative refinement by products, in float64.

    T. Ogita, K. Aishima, "Iterative refinement for symmetric eigenvalue decomposition", Japan J. Indust.
    Appl. Math. 35 (2018).
    """
    n = A.shape[0]
    eye = torch.eye(n, dtype=torch.float64, device=A.device)[:, :, None]
    X, B = V.double(), A.double() / scale_of(A).double()
    B = 0.5 * (B + B.transpose(0, 1))
    for _ in range(steps):
        R = eye - product(X.transpose(0, 1), X)
        S = product(X.transpose(0, 1), product(B, X))
        values = torch.diagonal(S).T / (1.0 - torch.diagonal(R).T)
        known = 2.0 * (
            (S * (1.0 - eye)).square().sum((0, 1)).sqrt() + math.sqrt(n) * R.square().sum((0, 1)).sqrt()
        )
        gap = values[None] - values[:, None]
        apart = gap.abs() > known
        E = torch.where(apart, (S + values[None] * R) / torch.where(apart, gap, 1.0), 0.5 * R)
        X = X + product(X, E)
    V = X.float()
    values = ordered_sum(X * product(A.double(), X)) / ordered_sum(X * X)
    order = torch.nan_to_num(values, nan=math.inf).sort(dim=0, stable=True).indices
    return values.float().gather(0, order), V.gather(1, order[None].expand_as(V))


def lapack(A: Tensor) -> tuple[Tensor, Tensor]:
    """The dearest repair, which always works: LAPACK (cuSOLVER on CUDA) in float64 on the symmetric part."""
    symmetric = 0.5 * (A.double() + A.double().transpose(0, 1))
    eigenvalues, V = torch.linalg.eigh(symmetric.permute(2, 0, 1))
    return eigenvalues.T.to(A.dtype), V.permute(1, 2, 0).to(A.dtype)


def repair(A: Tensor, eigenvalues: Tensor, V: Tensor) -> tuple[Tensor, Tensor]:
    """Valid eigenpairs for matrices A (n, n, B) whose eigenpairs failed the test, each on its own."""
    eigenvalues, V = refined(A, V)
    bad = ~acceptable(A, eigenvalues, V)
    if bad.any():
        eigenvalues[:, bad], V[:, :, bad] = lapack(A[:, :, bad])
    return eigenvalues, V
