"""Question 1: sampling is taken out, structure stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geolip_theorems.measures.decisions import decide
from geolip_theorems.measures.spatial import (
    corrected_squared_cv,
    shuffled_residual_cv,
    spatial_structure,
)

from .make import maps, residual_maps

VALUES = 48


def measured(subject, **options):
    return spatial_structure(
        subject.error, subject.pixel_var, VALUES, error_half=subject.error_half, n_null=99, **options
    )


def verdict(result):
    corrected = result["corrected"]
    return decide(corrected["value"], corrected["ci95"], 0.1, ">", n=corrected["n"]).verdict


def structured(cv, n=120, side=16, seed=0):
    """Maps of Gaussian residuals whose true error map has the given CV in every image."""
    rng = np.random.default_rng(seed)
    pattern = rng.standard_normal((n, side * side))
    pattern -= pattern.mean(1, keepdims=True)
    pattern /= pattern.std(1, ddof=1, keepdims=True)
    mean = np.clip(1 + cv * pattern, 0.01, None).reshape(n, side, side)
    return residual_maps(np.sqrt(mean), VALUES, seed + 1)


def test_independent_residuals_have_raw_cv_but_no_structure():
    result = measured(residual_maps(np.ones((300, 16, 16))))
    assert result["raw"]["value"] == pytest.approx(np.sqrt(2 / VALUES), abs=0.003)
    assert result["raw"]["ci95"][0] > 0.1  # the seed protocol's verdict would hold
    assert result["corrected"]["ci95"][0] < 0 < result["corrected"]["ci95"][1]
    assert result["corrected"]["p"] > 0.01
    assert abs(result["corrected_mean"]["value"]) < 0.02
    assert abs(result["stability"]["value"]) < 0.05
    assert verdict(result) == "fails"


@pytest.mark.parametrize("cv", [0.15, 0.3])
def test_planted_structure_is_found_and_sized(cv):
    result = measured(structured(cv))
    for name in ("corrected", "split_half"):
        assert result[name]["ci95"][0] < cv < result[name]["ci95"][1]
    assert result["corrected"]["p"] == pytest.approx(0.01)
    assert verdict(result) == "holds"


def test_structure_at_the_threshold_is_not_decided():
    assert verdict(measured(structured(0.1, n=60))) == "inconclusive"


def test_a_constant_error_map_fails():
    flat = maps(
        np.full((40, 8, 8), 0.25), error_var=np.zeros((40, 8, 8)), error_half=np.full((40, 8, 8, 2), 0.25)
    )
    result = measured(flat)
    assert verdict(result) == "fails"
    assert result["corrected"]["p"] == 1.0
    assert result["stability"]["value"] is None


def test_a_single_patch_is_undefined():
    result = measured(residual_maps(np.ones((9, 1, 1))))
    assert result["corrected"]["value"] is None
    assert verdict(result) == "inconclusive"


def test_correction_is_unbiased_for_other_residuals_too():
    rng = np.random.default_rng(3)
    squared = rng.gamma(0.3, 1.0, (4000, 20, VALUES))  # heavier tails than a squared Gaussian
    result = corrected_squared_cv(squared.mean(-1)[:, None], squared.var(-1)[:, None], VALUES)
    assert result.mean() == pytest.approx(0, abs=4 * result.std() / np.sqrt(len(result)))


def test_null_is_the_shuffle_of_the_residuals():
    """The moment-matched null has the mean CV of residuals truly dealt out anew."""
    rng = np.random.default_rng(4)
    scale = rng.uniform(0.5, 1.5, (40, 8, 8))
    squared = (rng.standard_normal((40, 8, 8, VALUES)) * scale[..., None]) ** 2
    null = shuffled_residual_cv(squared.mean(-1), squared.var(-1), VALUES, 0, 200)
    cvs = []
    for _ in range(50):
        dealt = rng.permuted(squared.reshape(40, -1), axis=1).reshape(40, 64, VALUES).mean(-1)
        cvs.append((dealt.std(1, ddof=1) / dealt.mean(1)).mean())
    assert null.mean() == pytest.approx(np.mean(cvs), rel=0.01)
    assert null.std() == pytest.approx(np.std(cvs), rel=0.3)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_scale_and_order_of_images_do_not_matter(scale, seed):
    subject = residual_maps(np.ones((12, 4, 4)), VALUES, seed)
    error, var = subject.error.astype(np.float64), subject.pixel_var.astype(np.float64)
    base = corrected_squared_cv(error, var, VALUES)
    np.testing.assert_allclose(
        corrected_squared_cv(error * scale, var * scale**2, VALUES), base, rtol=1e-5, atol=1e-6
    )
    order = np.random.default_rng(seed).permutation(12)
    np.testing.assert_array_equal(corrected_squared_cv(error[order], var[order], VALUES), base[order])
