"""The residual test of eigenpairs, and the repair of those that fail it (torch, batch last)."""

from __future__ import annotations

import torch
from torch import Tensor

from .packet import canonical_signs
from .reference import SMALLEST_SCALE, PathResult

# Every packet promises 1e-5 of ||V^T V - I|| and of ||A - V L V^T|| / ||A||. The test asks a little more, for
# its own rounding in float32, and measures the second residual against ||A||_F / sqrt(n), which no norm of A
# falls below: the promise then holds in the Frobenius and the spectral norm.
TEST_LIMIT = 8e-6
# Of ||A||_F / sqrt(n): what n (n - 1) such entries leave undone is lost in the residual test's own rounding.
NEGLIGIBLE = 2e-8
MOST_SWEEPS = 30


def passes(path: PathResult) -> Tensor:
    """Which rows of the path's own eigenpairs pass, (B,) bool. NaN fails, and so does s <= 1e-12."""
    good = (path.refinement_residual <= TEST_LIMIT) & (path.reconstruction_residual <= TEST_LIMIT)
    return good & (path.scale > SMALLEST_SCALE)


def lapack(A: Tensor) -> tuple[Tensor, Tensor]:
    """Valid eigenpairs, (n, B) and (n, n, B), of any finite A (n, n, B): LAPACK's (cuSOLVER's) in float64."""
    symmetric = 0.5 * (A.double() + A.double().transpose(0, 1))
    eigenvalues, V = torch.linalg.eigh(symmetric.permute(2, 0, 1))
    return eigenvalues.T.to(A.dtype), canonical_signs(V.to(A.dtype)).permute(1, 2, 0)
