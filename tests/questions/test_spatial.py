"""Question 1: sampling is taken out, structure stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.questions import Study
from geolip_theorems.questions.spatial import corrected_cv
from geolip_theorems.questions.spatial.measure import (
    corrected_squared_cv,
    measure,
    shuffled_pixel_cv,
)
from geolip_theorems.stats.decisions import Sample, decide
from geolip_theorems.stats.estimators import signed_root

from ..make import maps, residual_maps

PIXELS = 16
COUNTED = 48  # values of a patch: what the correction once took for independent


def measured(subject, **options):
    return measure(Study(subject, **{"n_null": 199} | options)).figures["spatial_cv"]


def verdict(result):
    corrected = result["corrected"]
    return decide(
        corrected["value"],
        corrected["ci95"],
        0.1,
        ">",
        corrected.get("p"),
        sample=Sample(corrected["n"]),
        needs_p=True,
    ).verdict


def structured(cv, n=120, side=16, seed=0, alike=0.0):
    """Maps of Gaussian residuals whose true error map has the given CV in every image."""
    rng = np.random.default_rng(seed)
    pattern = rng.standard_normal((n, side * side))
    pattern -= pattern.mean(1, keepdims=True)
    pattern /= pattern.std(1, ddof=1, keepdims=True)
    mean = np.clip(1 + cv * pattern, 0.01, None).reshape(n, side, side)
    return residual_maps(np.sqrt(mean), PIXELS, seed + 1, alike)


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_independent_pixels_have_raw_cv_but_no_structure(alike):
    """Whatever the channels of a pixel have in common: grey residuals are the hardest case."""
    subject = residual_maps(np.ones((200, 16, 16)), alike=alike, seed=1)
    result = measured(subject)
    raw = np.sqrt(2 * (1 + 2 * alike**2) / 3 / PIXELS)
    assert result["raw"]["value"] == pytest.approx(raw, abs=0.005)
    assert result["raw"]["ci95"][0] > 0.1  # the script's verdict would hold
    for name in ("corrected", "split_half"):
        assert result[name]["ci95"][0] < 0 < result[name]["ci95"][1]
        assert abs(result[name]["value"]) < 0.04
    assert result["corrected"]["p"] > 0.01
    assert abs(result["corrected_mean"]["value"]) < 0.02
    assert abs(result["stability"]["value"]) < 0.05
    assert verdict(result) == "fails"
    # The rule that was, the variance of a patch's 48 values taken for that of 48 independent ones:
    counted = signed_root(corrected_squared_cv(subject.error, subject.value_var, COUNTED).mean())
    assert (counted > 0.1) == (alike > 0)


@pytest.mark.parametrize("side", [4, 8])
def test_p_of_grey_residuals_is_uniform(side):
    ps = [
        measured(residual_maps(np.ones((20, side, side)), seed=seed, alike=1.0), n_null=99)["corrected"]["p"]
        for seed in range(60)
    ]
    assert stats.kstest(ps, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("cv", [0.15, 0.3])
@pytest.mark.parametrize("alike", [0.0, 1.0])
def test_planted_structure_is_found_and_sized(cv, alike):
    result = measured(structured(cv, alike=alike))
    for name in ("corrected", "split_half"):
        assert result[name]["ci95"][0] < cv < result[name]["ci95"][1]
    assert result["corrected"]["p"] == pytest.approx(1 / 200)
    assert verdict(result) == "holds"


def test_structure_at_the_threshold_is_not_decided():
    assert verdict(measured(structured(0.1, n=60))) == "inconclusive"


def test_the_verdict_needs_the_null():
    assert corrected_cv.tested
    few = measured(structured(0.3), n_null=99)["corrected"]["p"]
    assert few == 0.01  # 99 shuffles can never say p < 0.01
    assert decide(0.3, (0.25, 0.35), 0.1, ">", few).verdict == "inconclusive"


def test_a_constant_error_map_fails():
    flat = maps(
        np.full((40, 8, 8), 0.25), pixel_var=np.zeros((40, 8, 8)), error_half=np.full((40, 8, 8, 2), 0.25)
    )
    result = measured(flat)
    assert verdict(result) == "fails"
    assert result["corrected"]["p"] == 1.0
    assert "identical values" in result["corrected"]["method"]
    assert result["stability"]["value"] is None


@pytest.mark.parametrize(
    ("subject", "reason"),
    [
        (residual_maps(np.ones((9, 1, 1))), "one patch"),
        (residual_maps(np.ones((9, 4, 4))), "one pixel"),
    ],
)
def test_what_cannot_be_told_says_why(subject, reason):
    if reason == "one pixel":
        subject.patch_pixels = 1
    result = measured(subject)
    for name in ("corrected", "corrected_mean", "split_half", "stability"):
        assert result[name]["value"] is None
        assert reason in result[name]["method"]
    assert (result["raw"]["value"] is None) == (reason == "one patch")
    assert verdict(result) == "inconclusive"


def test_correction_is_unbiased_for_other_residuals_too():
    rng = np.random.default_rng(3)
    squared = rng.gamma(0.3, 1.0, (4000, 20, PIXELS))  # heavier tails than a squared Gaussian
    result = corrected_squared_cv(squared.mean(-1)[:, None], squared.var(-1)[:, None], PIXELS)
    assert result.mean() == pytest.approx(0, abs=4 * result.std() / np.sqrt(len(result)))


@pytest.mark.parametrize("side", [3, 8])
def test_null_is_the_shuffle_of_whole_pixels(side):
    """The moment-matched null has the CV of grey pixels truly dealt out anew."""
    rng = np.random.default_rng(4)
    patches = side * side
    scale = rng.uniform(0.5, 1.5, (400, patches))
    squared = (rng.standard_normal((400, patches, PIXELS)) * scale[..., None]) ** 2
    null = shuffled_pixel_cv(squared.mean(-1), squared.var(-1), PIXELS, 0, 300)
    cvs = []
    for _ in range(100):
        dealt = rng.permuted(squared.reshape(400, -1), axis=1).reshape(400, patches, PIXELS).mean(-1)
        cvs.append(np.sqrt((dealt.var(1, ddof=1) / dealt.mean(1) ** 2).mean()))
    assert np.square(null).mean() == pytest.approx(np.square(cvs).mean(), rel=0.006)
    assert null.std() == pytest.approx(np.std(cvs), rel=0.3)


@settings(max_examples=20, deadline=None)
@given(scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_scale_and_order_of_images_do_not_matter(scale, seed):
    subject = residual_maps(np.ones((12, 4, 4)), PIXELS, seed)
    error, var = subject.error.astype(np.float64), subject.pixel_var.astype(np.float64)
    base = corrected_squared_cv(error, var, PIXELS)
    np.testing.assert_allclose(
        corrected_squared_cv(error * scale, var * scale**2, PIXELS), base, rtol=1e-5, atol=1e-6
    )
    order = np.random.default_rng(seed).permutation(12)
    np.testing.assert_array_equal(corrected_squared_cv(error[order], var[order], PIXELS), base[order])
