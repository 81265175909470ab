"""What the conduit accepts: shapes, types, finiteness and symmetry."""

from __future__ import annotations

import torch
from torch import Tensor

from ..io.errors import InputError

SMALLEST_N, LARGEST_N = 2, 16
ASYMMETRY_TOLERANCE = 1e-5
# Of ||A - A^T||_F^2 / ||A||_F^2 in float32: above it the compiled paths leave the question to invalid_rows.
SUSPECT_ASYMMETRY = 0.9 * ASYMMETRY_TOLERANCE**2


def check_batch(A: Tensor, what: str = "A") -> None:
    """Raise InputError unless A is (..., n, n), n = 2..16, float32 or float64, and needs no gradient."""
    if not isinstance(A, Tensor):
        raise InputError(
            f"{what} is {type(A).__name__}; expected a torch tensor (torch.from_numpy converts arrays)"
        )
    if A.dtype not in (torch.float32, torch.float64):
        raise InputError(f"{what} is {A.dtype}; expected float32 or float64 ({what}.float() converts)")
    if A.ndim < 2 or A.shape[-1] != A.shape[-2] or not SMALLEST_N <= A.shape[-1] <= LARGEST_N:
        raise InputError(
            f"{what} has shape {tuple(A.shape)}; expected (..., n, n) with n = {SMALLEST_N}..{LARGEST_N}"
        )
    if A.requires_grad:
        raise InputError(f"{what} requires grad; the conduit has no gradient (pass {what}.detach())")


def invalid_rows(A: Tensor) -> Tensor:
    """Which matrices of A (B, n, n) are non-finite or have ||A - A^T||_F > 1e-5 ||A||_F, (B,) bool."""
    largest = A.abs().amax((-2, -1))
    unit = torch.where(largest > 0, largest, 1.0)[:, None, None]
    scaled = A.double() / unit.double()
    asymmetry = (scaled - scaled.transpose(-2, -1)).square().sum((-2, -1))
    # Written so that NaN counts as invalid.
    return ~(torch.isfinite(largest) & (asymmetry <= ASYMMETRY_TOLERANCE**2 * scaled.square().sum((-2, -1))))


def describe_invalid(A: Tensor, row: int, lead: torch.Size) -> InputError:
    """The error for the first bad matrix of a batch whose leading shape is `lead`."""
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(row), lead)) if lead else ()
    matrix = A[row].double()
    where = f"A[{', '.join(map(str, index))}]" if index else "A"
    advice = 'or pass on_invalid="mask"'
    if not torch.isfinite(matrix).all():
        return InputError(
            f"{where} has NaN or infinite entries; expected finite ones (remove the matrix {advice})"
        )
    if not torch.isfinite(matrix.float()).all():
        return InputError(
            f"{where} has entries beyond float32's range, in which the solver's telemetry is computed; "
            f"scale the matrix down {advice}"
        )
    matrix = matrix / matrix.abs().max()  # squares of the largest and the smallest numbers have no float64
    asymmetry = float((matrix - matrix.T).norm() / matrix.norm())
    return InputError(
        f"{where} is not symmetric: ||A - A^T|| = {asymmetry:.1e} ||A||, expected at most "
        f"{ASYMMETRY_TOLERANCE:.0e} (use (A + A.mT) / 2 {advice})"
    )
