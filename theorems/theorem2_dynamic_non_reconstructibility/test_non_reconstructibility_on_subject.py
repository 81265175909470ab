"""Theorem 2 on the subject's own Gram matrices."""

from __future__ import annotations

import numpy as np
import torch

from geolip_theorems.conduit.laws import explained_by_spectrum, friction_change, isospectral, ulp_envelope


def test_spectrum_does_not_determine_friction_on_the_subject(subject_grams, record_property):
    A = torch.from_numpy(subject_grams[:4000])
    B = isospectral(A)
    envelope = np.maximum(ulp_envelope(A), ulp_envelope(B))
    share = float((friction_change(A, B) > 100 * envelope).mean())
    record_property("share_of_pairs_beyond_100_envelopes", share)
    record_property("variance_explained_by_spectrum", explained_by_spectrum(A))
    assert share > 0.5
