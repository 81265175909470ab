"""Theorem 1 on the subject's own Gram matrices."""

from __future__ import annotations

import torch

from geolip_theorems.conduit import canonical_signs, conduit
from geolip_theorems.conduit.reference import follow


def test_lens_is_preserved_on_the_subject(subject_grams, record_property):
    A = torch.from_numpy(subject_grams)
    plain, packet = follow(A.permute(1, 2, 0).contiguous(), telemetry=False), conduit(A)
    own = ~packet.rescued
    record_property("rows_not_rescued", float(own.float().mean()))
    assert torch.equal(packet.eigenvalues[own], plain.eigenvalues.T[own])
    assert torch.equal(packet.eigenvectors[own], canonical_signs(plain.eigenvectors.permute(2, 0, 1))[own])
