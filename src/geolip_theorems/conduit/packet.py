"""What the conduit returns: eigenpairs together with a record of how the solver reached them."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass
class ConduitPacket:
    """Eigenpairs and telemetry of a batch of symmetric matrices of shape (..., n, n).

    eigenvalues         (..., n)     ascending
    eigenvectors        (..., n, n)  in columns; each column's entry of largest magnitude is positive
    char_coeffs         (..., n)     c_0 .. c_(n-1) of the monic characteristic polynomial of A / s
    friction            (..., n)     sum over the root's Laguerre iterations of 1 / (|p'| + 1e-8)
    settle              (..., n)     first iteration with |p| < 1e-6, counted from 0; 5 if none
    extraction_order    (..., n)     0 .. n-1, the order in which roots were sought (not sorted)
    refinement_residual (...,)       ||V^T V - I||_F of the solver's own eigenvectors, before any repair
    rescued             (...,)       bool: the solver's own eigenpairs failed the test and were repaired
    invalid             (...,)       bool: rows of non-finite or asymmetric input, only with on_invalid="mask"
                                     (None otherwise); every other field of such a row is NaN, or False
    release_residual                 always None; kept for readers of the original packet

    Only with research=True, in the order in which roots were sought:
    z_trajectory        (..., n, 5)      the iterate at which each Laguerre step evaluated p
    dp_trajectory       (..., n, 5)      |p'| there
    mstore              (n+1, ..., n, n) float64 Faddeev-LeVerrier matrices M_0 = 0, M_1 = I, .. M_n

    friction and settle follow the order of the solver's own Rayleigh quotients, which is ascending.
    Eigenpairs are float32, or float64 for float64 input; telemetry is float32.

    The numba backend's float32 fields share one piece of memory, which lives as long as any of them does: who
    keeps one field of many matrices keeps them all, unless it is a copy (packet.friction.clone()).
    """

    eigenvalues: Tensor
    eigenvectors: Tensor
    char_coeffs: Tensor
    friction: Tensor
    settle: Tensor
    extraction_order: Tensor
    refinement_residual: Tensor
    rescued: Tensor
    invalid: Tensor | None = None
    release_residual: Tensor | None = None
    z_trajectory: Tensor | None = None
    dp_trajectory: Tensor | None = None
    mstore: Tensor | None = None

    def eigenpairs(self) -> tuple[Tensor, Tensor]:
        """(eigenvalues (..., n), eigenvectors (..., n, n))."""
        return self.eigenvalues, self.eigenvectors

    def tensors(self) -> dict[str, Tensor]:
        """The fields that are present, by name."""
        present = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in present.items() if value is not None}


def canonical_signs(V: Tensor) -> Tensor:
    """V (..., n, n) with each column's sign chosen so that its entry of largest magnitude is positive.

    Where several entries share the largest magnitude the first of them decides. A column of zeros stays zero.
    """
    magnitude = V.abs()
    first = (magnitude == magnitude.amax(-2, keepdim=True)).to(torch.int8).argmax(-2, keepdim=True)
    return torch.where(V.gather(-2, first) < 0, -V, V)
