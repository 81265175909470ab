"""Intervals against SciPy, and what they say of few or identical values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.stats.decisions import Sample, decide
from geolip_theorems.stats.figure import figure
from geolip_theorems.stats.intervals import (
    difference_figure,
    holm,
    mean_figure,
    permutation_p,
    ratio_figure,
    share_figure,
    simultaneous_reach,
    standard_error,
)
from geolip_theorems.stats.units import degrees_of_freedom, unit_factor

RNG = np.random.default_rng(0)
SKEWED = RNG.gamma(1.0, 1.0, 150)


def test_student_interval_is_scipys():
    given_ = mean_figure(SKEWED)
    expected = stats.ttest_1samp(SKEWED, 0).confidence_interval()
    assert given_["ci95"] == pytest.approx([expected.low, expected.high])
    assert given_["value"] == pytest.approx(SKEWED.mean())


def test_the_interval_is_near_the_bootstraps():
    expected = stats.bootstrap((SKEWED,), np.mean, method="BCa", random_state=np.random.default_rng(5))
    width = np.ptp(expected.confidence_interval)
    assert mean_figure(SKEWED)["ci95"] == pytest.approx(list(expected.confidence_interval), abs=0.1 * width)
    few = mean_figure(SKEWED[:40])["ci95"]
    assert few != pytest.approx(list(expected.confidence_interval), abs=0.1 * width)


def test_groups_of_one_image_change_nothing():
    alone = mean_figure(SKEWED)
    grouped = mean_figure(SKEWED, np.arange(len(SKEWED)))
    assert grouped["ci95"] == pytest.approx(alone["ci95"], rel=1e-9)


def test_copies_in_a_group_add_no_precision():
    copies, groups = np.repeat(SKEWED, 4), np.repeat(np.arange(len(SKEWED)), 4)
    assert mean_figure(copies, groups)["ci95"] == pytest.approx(mean_figure(SKEWED)["ci95"])
    assert np.ptp(mean_figure(copies)["ci95"]) < 0.6 * np.ptp(mean_figure(copies, groups)["ci95"])


def test_undefined_images_are_left_out_and_counted():
    values = np.r_[SKEWED, np.nan, np.nan]
    assert mean_figure(values) == mean_figure(SKEWED)
    assert mean_figure(np.array([np.nan]))["value"] is None
    assert mean_figure(np.array([2.0]))["ci95"] is None
    assert figure(float("nan"), (0, 1), 3, "m")["ci95"] is None


def test_difference_is_the_paired_t_test():
    other = SKEWED + RNG.normal(0.1, 0.5, len(SKEWED))
    assert difference_figure(SKEWED - other)["p"] == pytest.approx(stats.ttest_rel(SKEWED, other).pvalue)
    assert difference_figure(np.zeros(9))["p"] == 1.0


def test_simultaneous_reach_lies_between_student_and_bonferroni():
    independent = RNG.standard_normal((4000, 6))
    single, bonferroni = stats.t.ppf(0.975, 500), stats.t.ppf(1 - 0.025 / 6, 500)
    assert simultaneous_reach(independent, 500) == pytest.approx(bonferroni, abs=0.03)
    assert simultaneous_reach(np.repeat(independent[:, :1], 6, 1), 500) == pytest.approx(single, abs=0.03)
    assert simultaneous_reach(np.zeros((50, 3)), 500) == pytest.approx(single)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_is_the_definition(p):
    given_ = holm(np.array(p))
    order = sorted(range(len(p)), key=lambda i: p[i])
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, (len(p) - rank) * p[i]))
        assert given_[i] == pytest.approx(running)


def test_permutation_p_counts_itself_and_ties():
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert permutation_p(0.2, null, "less") == pytest.approx(3 / 5)
    assert permutation_p(0.5, null, "greater") == pytest.approx(1 / 5)
    assert permutation_p(0.5, np.r_[null, np.nan], "greater") == pytest.approx(2 / 6)


@pytest.mark.parametrize("values", [np.arange(40.0), np.arange(40.0) % 2])
def test_fewer_than_six_groups_have_no_interval(values):
    for k in (1, 2, 5, 6):
        groups = np.arange(40) % k
        for given_ in (
            mean_figure(values, groups),
            share_figure(values % 2, groups),
            difference_figure(values, groups),
            ratio_figure(values, values + 1, groups),
        ):
            assert given_["value"] is not None
            assert (given_["ci95"] is None) == (k < 6)
            if k < 6:
                assert f"no interval from {k} groups" in given_["method"]
    undecided = mean_figure(values + 100, np.arange(40) % 5)
    assert (
        decide(undecided["value"], undecided["ci95"], 0.1, ">", sample=Sample(40)).verdict == "inconclusive"
    )


def test_a_group_that_holds_most_images_leaves_few_degrees_of_freedom():
    groups = np.r_[np.zeros(93, int), 1:8]
    assert degrees_of_freedom(np.bincount(groups)) == pytest.approx(100**2 / (93**2 + 7) - 1)
    values = RNG.normal(1, 0.1, 100)
    lopsided, even = (mean_figure(values, g)["ci95"] for g in (groups, np.arange(100) % 8))
    assert np.ptp(lopsided) > 10 * np.ptp(even)


def test_intervals_of_shares_stay_between_0_and_1():
    share = np.r_[np.ones(8), 0.2]
    assert mean_figure(share)["ci95"][1] > 1
    assert share_figure(share)["ci95"][1] == 1
    assert share_figure(1 - share)["ci95"][0] == 0


@pytest.mark.parametrize("n", [9, 50])
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_identical_shares_are_not_certain(n, share):
    """However alike: with all n alike, a part of up to q = 1 - 0.025^(1/n) may be otherwise."""
    q = 1 - 0.025 ** (1 / n)
    given_ = share_figure(np.full(n, share))
    assert given_["ci95"] == pytest.approx([share * (1 - q), share * (1 - q) + q])
    assert "exact binomial" in given_["method"]


def test_identical_values_are_named():
    for given_ in (mean_figure(np.full(50, 0.3)), mean_figure(np.full(9, 0.3), np.arange(9) % 6)):
        assert given_["ci95"] == pytest.approx([0.3, 0.3])
        assert "no spread: identical values" in given_["method"]
    nearly = mean_figure(np.r_[np.full(49, 0.3), 0.3001])
    assert np.ptp(nearly["ci95"]) > 0
    assert "identical" not in nearly["method"]
    assert difference_figure(np.full(8, 0.5))["p"] == 2 / 2**8  # a sign test, not certainty


@pytest.mark.parametrize("counts", [np.full(9, 4), np.array([1, 1, 2, 3, 5, 8, 13])])
def test_standard_errors_are_unbiased_where_images_of_a_group_are_alike(counts):
    """The variance of a mean over groups of any size, from 4,000 samples; G/(G-1) is not enough."""
    of_group = RNG.standard_normal((4000, len(counts)))
    means = of_group @ counts / counts.sum()
    residuals = counts * (of_group - means[:, None])
    estimates = unit_factor(counts) * np.square(residuals).sum(1) / counts.sum() ** 2
    assert estimates.mean() == pytest.approx(means.var(), rel=0.1)
    assert standard_error(residuals[0], counts) == pytest.approx(np.sqrt(estimates[0]))
    plain = len(counts) / (len(counts) - 1)
    assert unit_factor(counts) == pytest.approx(plain) if np.ptp(counts) == 0 else unit_factor(counts) > plain
    assert unit_factor(np.array([7])) == np.inf
