"""The public interface of the conduit: `conduit` and `conduit_from_svd`."""

from __future__ import annotations

import torch
from torch import Tensor

from ..io.errors import InputError, unknown
from . import torch_backend
from .backends import check_name, choose
from .checks import check_batch, describe_invalid, invalid_rows
from .packet import ConduitPacket, canonical_signs


@torch.no_grad()
def conduit(
    A: Tensor, backend: str = "auto", *, research: bool = False, on_invalid: str = "raise"
) -> ConduitPacket:
    """Eigenpairs of A with the record of how the solver reached them.

    A: (..., n, n) float32 or float64, n = 2..16, symmetric to 1e-5 ||A||_F. float64 input gets float64
    eigenpairs and the telemetry of its float32 rounding. backend: "auto" or one of `backends.BACKENDS`.
    research=True adds the trajectories. on_invalid: "raise", or "mask" to get NaN for rows that are not
    finite or not symmetric, and `packet.invalid` marking them.

    For every finite symmetric matrix ||A - V L V^T|| <= 1e-5 ||A|| and ||V^T V - I|| <= 1e-5 hold (the
    first for ||A|| from 1e-37: smaller eigenvalues have too few digits in float32); rows whose path did not
    reach that by itself are marked in `packet.rescued`. A row depends on itself alone.
    Fields may share memory: clone() the one to keep of many matrices, or it keeps the whole packet alive.

    Raises InputError for a wrong type, dtype or shape, an input that requires grad, an unknown backend, and
    (with on_invalid="raise") for the first row that is not finite or not symmetric.
    """
    check_name(backend)
    if on_invalid not in ("raise", "mask"):
        raise unknown("on_invalid", on_invalid, ("raise", "mask"))
    check_batch(A)
    lead, n = A.shape[:-2], A.shape[-1]
    flat = A.reshape(-1, n, n)
    if research:  # trajectories come from the reference, whatever the backend
        packet, invalid = torch_backend.solve(flat.float(), research=True)
    else:
        packet, invalid = choose(backend, A.device).solve(flat.float())
    if A.dtype == torch.float64:
        invalid = invalid_rows(flat) if invalid is None else invalid | invalid_rows(flat)
        replace_by_float64(packet, flat, invalid)
    if invalid is not None:
        apply_mask(packet, flat, invalid, lead, on_invalid)
    elif on_invalid == "mask":
        packet.invalid = torch.zeros_like(packet.rescued)
    return packet if len(lead) == 1 else reshaped(packet, lead)


def replace_by_float64(packet: ConduitPacket, A: Tensor, invalid: Tensor) -> None:
    """Give the packet float64 eigenpairs, from LAPACK or cuSOLVER."""
    symmetric = torch.where(invalid[:, None, None], 0.0, 0.5 * (A + A.mT))
    packet.eigenvalues, V = torch.linalg.eigh(symmetric)
    packet.eigenvectors = canonical_signs(V)


def apply_mask(packet: ConduitPacket, A: Tensor, invalid: Tensor, lead: torch.Size, on_invalid: str) -> None:
    """Refuse invalid rows, or turn them into NaN."""
    # An eigenvalue beyond float32 cannot be returned: such a row is as good as infinite.
    overflow = torch.zeros_like(invalid)
    if not torch.isfinite(packet.eigenvalues.sum()):  # one sum is much cheaper than a look at every row
        overflow = ~torch.isfinite(packet.eigenvalues).all(-1) & ~invalid
    if on_invalid == "mask":
        packet.invalid = invalid | overflow
        packet.extraction_order = packet.extraction_order.clone()
        for name, value in packet.tensors().items():
            if name == "mstore":
                value[:, packet.invalid] = torch.nan
            elif name not in ("rescued", "invalid"):
                value[packet.invalid] = torch.nan
        packet.rescued &= ~packet.invalid
        return
    if invalid.any():
        raise describe_invalid(A, int(invalid.int().argmax()), lead)
    if overflow.any():
        row = int(overflow.int().argmax())
        raise InputError(
            f"matrix {row} of the batch has eigenvalues beyond float32's range; "
            'expected ||A|| below 3e38 (scale it down, pass float64, or pass on_invalid="mask")'
        )


def reshaped(packet: ConduitPacket, lead: torch.Size) -> ConduitPacket:
    """The packet with its flat batch given back the input's leading shape."""
    for name, value in packet.tensors().items():
        if name == "mstore":
            packet.mstore = value.reshape((value.shape[0], *lead, *value.shape[2:]))
        else:
            setattr(packet, name, value.reshape((*lead, *value.shape[1:])))
    return packet


@torch.no_grad()
def conduit_from_svd(Vt: Tensor, S: Tensor, backend: str = "auto") -> tuple[Tensor, Tensor]:
    """(friction, settle), each (..., n) float32, of the Gram matrices Vt^T diag(S^2) Vt.

    Vt: (..., n, n), S: (..., n), float32 or float64, n = 2..16. The same as conduit(G)'s fields, in ascending
    order of eigenvalue, but G is never stored. Non-finite rows give NaN. Raises InputError for a wrong type,
    dtype, shape or backend and an input that requires grad.
    """
    check_name(backend)
    check_batch(Vt, "Vt")
    if not isinstance(S, Tensor) or S.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"S is {getattr(S, 'dtype', type(S).__name__)}; expected a float32 or float64 tensor"
        )
    if S.requires_grad:
        raise InputError("S requires grad; the conduit has no gradient (pass S.detach())")
    if S.shape != Vt.shape[:-1]:
        raise InputError(f"S has shape {tuple(S.shape)}; expected {tuple(Vt.shape[:-1])}, that of Vt's rows")
    n = Vt.shape[-1]
    friction, settle = choose(backend, Vt.device).telemetry(
        Vt.reshape(-1, n, n).float(), S.detach().reshape(-1, n).float()
    )
    return friction.reshape(S.shape), settle.reshape(S.shape)
