"""Theorem 2, dynamic non-reconstructibility: the spectrum does not determine friction."""

from __future__ import annotations

import numpy as np
import torch

from geolip_theorems.conduit import conduit
from geolip_theorems.conduit.laws import explained_by_spectrum, friction_change, isospectral, ulp_envelope
from geolip_theorems.plugin.grams import random_grams

# Measured on these matrices: 0.96 of the pairs, and 0.11 of the variance.
LEAST_SHARE_OF_PAIRS = 0.8
MOST_EXPLAINED = 0.5


def share_of_pairs(A: torch.Tensor, B: torch.Tensor) -> float:
    """The share of pairs whose friction differs by more than 100 times the perturbation envelope of both."""
    envelope = np.maximum(ulp_envelope(A), ulp_envelope(B))
    return float((friction_change(A, B) > 100 * envelope).mean())


def test_one_spectrum_many_frictions(record_property):
    A = random_grams(1000, 4)
    B = isospectral(A)
    a, b = conduit(A).eigenvalues, conduit(B).eigenvalues
    assert ((a - b).abs() <= 1e-5 * a[:, -1:]).all()
    share = share_of_pairs(A, B)
    record_property("share_of_pairs_beyond_100_envelopes", share)
    assert share > LEAST_SHARE_OF_PAIRS


def test_equal_matrices_are_not_told_apart():
    """Negative control: a matrix and itself moved by one unit in the last place stay inside the envelope."""
    A = random_grams(1000, 4)
    upper = torch.ones(4, 4, dtype=torch.bool).triu()
    moved = torch.nextafter(A, torch.full_like(A, torch.inf))
    assert share_of_pairs(A, torch.where(upper, moved, moved.mT)) < 0.01


def test_spectrum_explains_little_of_friction(record_property):
    share = explained_by_spectrum(random_grams(3000, 4))
    record_property("variance_explained_by_spectrum", share)
    assert share < MOST_EXPLAINED


def test_the_regressor_explains_what_the_spectrum_determines():
    """Negative control: the same regressor explains a function of the spectrum almost entirely."""
    A = random_grams(3000, 4)
    values = conduit(A).eigenvalues
    target = (values[:, 1:] / values[:, :1]).log().numpy()
    assert explained_by_spectrum(A, target) > 0.9
