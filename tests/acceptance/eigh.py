"""A backend of the conduit in one file: LAPACK, which follows no path and so meets no friction."""

import torch

from geolip_theorems.conduit.backends import BACKENDS, Backend
from geolip_theorems.conduit.checks import invalid_rows
from geolip_theorems.conduit.torch_backend import empty_packet


def solve(A):
    """Eigenpairs of A (B, n, n) in float64; a friction of 1 everywhere."""
    packet, invalid = empty_packet(A), invalid_rows(A)
    pairs = torch.linalg.eigh(torch.where(invalid[:, None, None], 0, A).double())
    packet.eigenvalues, packet.eigenvectors = (part.float() for part in pairs)
    for field in (packet.char_coeffs, packet.settle, packet.refinement_residual, packet.rescued):
        field.zero_()
    packet.friction.fill_(1)
    return packet, invalid


def telemetry(Vt, S):
    """A friction of 1, settled at once."""
    return torch.ones_like(S), torch.zeros_like(S)


BACKENDS.add(Backend("eigh", (), lambda device: True, solve, telemetry))
