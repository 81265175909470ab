"""Singular values and right singular vectors of tall matrices, through the eigenpairs of M^T M."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ...conduit import conduit

GRAM_JITTER = 1e-12
CONDUIT_LARGEST = 12  # modes
EIGENVALUE_FLOOR = 1e-24
SINGULAR_VALUE_FLOOR = 1e-16
FLOAT32_JITTER = 1e-6
FLOAT32_EIGENVALUE_FLOOR = 1e-12  # S is at least 1e-6, so the floor of 1e-8 under U's divisor never acts


def gram_svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin SVD of tall M (..., V, D): U (..., V, D), S (..., D) descending, Vt (..., D, D), in its dtype."""
    s, vt = gram_eigh(M)
    return left_vectors(M, s, vt), s.to(M.dtype), vt.contiguous().to(M.dtype)


def left_vectors(M: Tensor, S: Tensor, Vt: Tensor) -> Tensor:
    """U (..., V, D) = M V / max(S, 1e-16) in M's dtype, computed in that of S (..., D) and Vt (..., D, D)."""
    return ((M.to(Vt.dtype) @ Vt.mT) / S.unsqueeze(-2).clamp(min=SINGULAR_VALUE_FLOOR)).to(M.dtype)


def gram_eigh(M: Tensor) -> tuple[Tensor, Tensor]:
    """S (..., D) descending and Vt (..., D, D) in float64.

    On a GPU with D up to 12 the eigenpairs are the conduit's, as in the public original; elsewhere LAPACK's.
    """
    if not _wants_conduit(M):
        return _float64_eigh(M)
    m = M.double()
    gram = m.mT @ m
    v = conduit(gram.float()).eigenvectors.double()
    # Quotients with the float64 matrix: float32's rounding of it would take a small S's digits.
    eigenvalues, order = (v * (gram @ v)).sum(-2).sort(-1)
    return _descending(eigenvalues, v.gather(-1, order[..., None, :].expand_as(v)), EIGENVALUE_FLOOR)


def _float64_eigh(M: Tensor) -> tuple[Tensor, Tensor]:
    m = M.double()
    return _solved(m.mT @ m, GRAM_JITTER, EIGENVALUE_FLOOR)


def _shared_eigh(M: Tensor) -> tuple[Tensor, Tensor]:
    """Of each image's matrices (B, N, V, D), stacked."""
    s, vt = gram_eigh(M.flatten(1, 2))
    return s.unsqueeze(1), vt.unsqueeze(1)


# svd_mode -> (B, N, V, D) matrices to S (B, N or 1, D) and Vt (B, N or 1, D, D).
SOLVERS: dict[str, Callable[[Tensor], tuple[Tensor, Tensor]]] = {
    "default": gram_eigh,
    "fp32": lambda M: _solved(M.mT @ M, FLOAT32_JITTER, FLOAT32_EIGENVALUE_FLOOR),
    "fp64": _float64_eigh,
    "batch_shared": _shared_eigh,
}


def _solved(gram: Tensor, jitter: float, floor: float) -> tuple[Tensor, Tensor]:
    gram.diagonal(dim1=-2, dim2=-1).add_(jitter)
    try:
        return _descending(*torch.linalg.eigh(gram), floor)
    except torch.linalg.LinAlgError:
        sound = torch.isfinite(gram).all(-1).all(-1)[..., None, None]
        if sound.all():
            raise
    # Weights so large that an image overflows: its spectrum is no number, as its reconstruction will be.
    S, Vt = _descending(*torch.linalg.eigh(torch.where(sound, gram, 0)), floor)
    return S.where(sound[..., 0], torch.nan), Vt.where(sound, torch.nan)


def _descending(eigenvalues: Tensor, v: Tensor, floor: float) -> tuple[Tensor, Tensor]:
    return eigenvalues.flip(-1).clamp(min=floor).sqrt(), v.flip(-1).mT


def _wants_conduit(M: Tensor) -> bool:
    """Whether the eigenpairs come from the conduit: thousands of tiny problems are slow in cuSOLVER."""
    return M.is_cuda and 2 <= M.shape[-1] <= CONDUIT_LARGEST and not M.requires_grad
