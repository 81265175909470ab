"""Theorem 5 on the subject's own Gram matrices."""

from __future__ import annotations

import torch

from geolip_theorems.conduit import canonical_signs, conduit


def test_gauge_on_the_subject(subject_grams):
    A = torch.from_numpy(subject_grams)
    generator = torch.Generator().manual_seed(1)
    d = torch.randint(0, 2, A.shape[:2], generator=generator).float() * 2 - 1
    one, other = conduit(A), conduit(d[:, :, None] * A * d[:, None, :])
    assert torch.equal(one.friction, other.friction)
    assert torch.equal(one.settle, other.settle)
    V = one.eigenvectors
    largest = V.abs().topk(2, dim=-2).values
    unique = largest[:, 0] > largest[:, 1]
    assert torch.equal(canonical_signs(-V).mT[unique], V.mT[unique])
