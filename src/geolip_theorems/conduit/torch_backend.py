"""The torch backend: the reference path, the residual test and the repair, in chunks of bounded memory."""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import invalid_rows
from .packet import ConduitPacket, canonical_signs
from .reference import PathResult, follow, gram_from_svd
from .repair import lapack, passes

CHUNK_BYTES = 64 * 2**20


def chunk_rows(n: int) -> int:
    """Matrices worked on at once, so that the Faddeev-LeVerrier matrices of a chunk stay near CHUNK_BYTES."""
    return max(256, CHUNK_BYTES // (8 * n * n * (n + 4)))


def empty_packet(A: Tensor) -> ConduitPacket:
    """A float32 packet, its fields not yet filled, for A (B, n, n)."""
    batch, n, _ = A.shape
    new = A.new_empty
    return ConduitPacket(
        eigenvalues=new(batch, n),
        eigenvectors=new(batch, n, n),
        char_coeffs=new(batch, n),
        friction=new(batch, n),
        settle=new(batch, n),
        extraction_order=torch.arange(n, dtype=A.dtype, device=A.device).repeat(batch, 1),
        refinement_residual=new(batch),
        rescued=new(batch, dtype=torch.bool),
    )


def add_research(packet: ConduitPacket, rows: slice, path: PathResult) -> None:
    """Store the trajectories of some rows."""
    if packet.mstore is None:
        batch, n = packet.friction.shape
        steps, like = path.z_trajectory.shape[1], packet.friction
        packet.z_trajectory = like.new_empty(batch, n, steps)
        packet.dp_trajectory = like.new_empty(batch, n, steps)
        packet.mstore = like.new_empty(n + 1, batch, n, n, dtype=torch.float64)
    packet.z_trajectory[rows] = path.z_trajectory.permute(2, 0, 1)
    packet.dp_trajectory[rows] = path.dp_trajectory.permute(2, 0, 1)
    packet.mstore[:, rows] = path.mstore.permute(0, 3, 1, 2)


def solve(A: Tensor, research: bool = False) -> tuple[ConduitPacket, Tensor]:
    """The packet of A (B, n, n) float32, and which rows are invalid input, (B,) bool."""
    packet = empty_packet(A)
    invalid = torch.empty(len(A), dtype=torch.bool, device=A.device)
    size = chunk_rows(A.shape[-1])
    for start in range(0, max(len(A), 1), size):  # once even when empty, for the shapes of the trajectories
        rows = slice(start, start + size)
        invalid[rows] = invalid_rows(A[rows])
        At = A[rows].permute(1, 2, 0).contiguous()
        path = follow(At, research=research)
        rescued = ~passes(path)
        rescued &= ~invalid[rows]
        if rescued.any():
            path.eigenvalues[:, rescued], path.eigenvectors[:, :, rescued] = lapack(At[:, :, rescued])
        for name in ("eigenvalues", "char_coeffs", "friction", "settle"):
            getattr(packet, name)[rows] = getattr(path, name).T
        packet.eigenvectors[rows] = canonical_signs(path.eigenvectors.permute(2, 0, 1))
        packet.refinement_residual[rows] = path.refinement_residual
        packet.rescued[rows] = rescued
        if research:
            add_research(packet, rows, path)
    return packet, invalid


def telemetry_from_svd(Vt: Tensor, S: Tensor) -> tuple[Tensor, Tensor]:
    """(friction, settle), each (B, n), of Vt^T diag(S^2) Vt for Vt (B, n, n) and S (B, n) float32."""
    friction, settle = torch.empty_like(S), torch.empty_like(S)
    size = chunk_rows(Vt.shape[-1])
    for start in range(0, len(Vt), size):
        rows = slice(start, start + size)
        path = follow(gram_from_svd(Vt[rows].permute(1, 2, 0).contiguous(), S[rows].T.contiguous()))
        friction[rows], settle[rows] = path.friction.T, path.settle.T
    return friction, settle
