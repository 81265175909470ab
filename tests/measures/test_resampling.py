"""Intervals against SciPy, permutations against the rules they must keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.measures.resampling import (
    difference_figure,
    exchangeable,
    figure,
    holm,
    mean_figure,
    permutation_p,
    shuffled_labels,
    simultaneous_reach,
)

RNG = np.random.default_rng(0)
SKEWED = RNG.gamma(1.0, 1.0, 150)


def test_student_interval_is_scipys():
    given_ = mean_figure(SKEWED, bootstrap=False)
    expected = stats.ttest_1samp(SKEWED, 0).confidence_interval()
    assert given_["ci95"] == pytest.approx([expected.low, expected.high])
    assert given_["value"] == pytest.approx(SKEWED.mean())


def test_bootstrap_interval_is_scipys():
    expected = stats.bootstrap((SKEWED,), np.mean, method="BCa", random_state=np.random.default_rng(5))
    given_ = mean_figure(SKEWED, seed=7)
    assert "BCa" in given_["method"]
    width = np.ptp(expected.confidence_interval)
    assert given_["ci95"] == pytest.approx(list(expected.confidence_interval), abs=0.05 * width)
    assert mean_figure(SKEWED, seed=7) == given_


def test_groups_of_one_image_change_nothing():
    alone = mean_figure(SKEWED, bootstrap=False)
    grouped = mean_figure(SKEWED, np.arange(len(SKEWED)), bootstrap=False)
    assert grouped["ci95"] == pytest.approx(alone["ci95"], rel=1e-9)


def test_copies_in_a_group_add_no_precision():
    copies, groups = np.repeat(SKEWED, 4), np.repeat(np.arange(len(SKEWED)), 4)
    assert mean_figure(copies, groups, bootstrap=False)["ci95"] == pytest.approx(
        mean_figure(SKEWED, bootstrap=False)["ci95"]
    )
    assert np.ptp(mean_figure(copies)["ci95"]) < 0.6 * np.ptp(mean_figure(copies, groups)["ci95"])


def test_undefined_images_are_left_out_and_counted():
    values = np.r_[SKEWED, np.nan, np.nan]
    assert mean_figure(values, bootstrap=False) == mean_figure(SKEWED, bootstrap=False)
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


@settings(deadline=None, max_examples=40)
@given(n_groups=st.integers(1, 8), data=st.data())
def test_shuffles_stay_where_they_may(n_groups, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    groups, labels = rng.integers(0, n_groups, 30), rng.integers(0, 3, 30)
    groups = np.unique(groups, return_inverse=True)[1]
    if exchangeable(labels, groups) != "images within groups":
        return
    for batch in shuffled_labels(labels, groups, 7, rng, 3):
        for row in batch:
            for g in range(groups.max() + 1):
                assert sorted(row[groups == g]) == sorted(labels[groups == g])


def test_pure_groups_are_shuffled_whole():
    groups, labels = np.repeat(np.arange(6), 5), np.repeat([0, 1, 0, 1, 0, 1], 5)
    assert exchangeable(labels, groups) == "whole groups"
    rows = np.concatenate(list(shuffled_labels(labels, groups, 200, np.random.default_rng(0), 64)))
    assert rows.shape == (200, 30)
    blocks = rows.reshape(200, 6, 5)
    assert (blocks == blocks[..., :1]).all()
    assert (blocks[..., 0].sum(1) == 3).all()
    assert len(np.unique(blocks[..., 0], axis=0)) == 20  # every way of choosing 3 of 6


def test_shuffles_are_uniform():
    labels = np.array([0, 0, 1])
    rows = np.concatenate(list(shuffled_labels(labels, None, 3000, np.random.default_rng(1), 1000)))
    counts = (rows == 1).sum(0)
    assert stats.chisquare(counts).pvalue > 1e-4
