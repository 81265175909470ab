"""Theorem 5 on the subject's own Gram matrices."""

from __future__ import annotations

import torch

from geolip_theorems.conduit import canonical_signs, conduit
from geolip_theorems.plugin.grams import has_one_largest_entry, random_signs


def test_gauge_on_the_subject(subject_grams):
    A = torch.from_numpy(subject_grams)
    d = random_signs(*A.shape[:2])
    one, other = conduit(A), conduit(d[:, :, None] * A * d[:, None, :])
    assert torch.equal(one.friction, other.friction)
    assert torch.equal(one.settle, other.settle)
    V = one.eigenvectors
    unique = has_one_largest_entry(V)
    assert torch.equal(canonical_signs(-V).mT[unique], V.mT[unique])
