"""Verdicts from intervals and nulls, and how much would decide them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.io.errors import InputError
from geolip_theorems.stats.decisions import MOST_TIMES, Sample, decide, units_to_decide

finite = st.floats(-1e6, 1e6)


@pytest.mark.parametrize(
    ("ci", "comparison", "p", "verdict"),
    [
        ((0.2, 0.4), ">", None, "holds"),
        ((0.05, 0.4), ">", None, "inconclusive"),
        ((0.1, 0.4), ">", None, "inconclusive"),  # an end on the threshold decides nothing
        ((0.01, 0.09), ">", None, "fails"),
        ((0.01, 0.09), "<", None, "holds"),
        ((0.2, 0.4), "<", None, "fails"),
        ((0.2, 0.4), ">", 0.001, "holds"),
        ((0.2, 0.4), ">", 0.02, "inconclusive"),
        ((0.2, 0.4), ">", 0.01, "inconclusive"),
        ((0.2, 0.4), ">", float("nan"), "inconclusive"),
        ((0.01, 0.09), ">", 0.0001, "fails"),  # a small p does not save a claim
    ],
)
def test_each_verdict(ci, comparison, p, verdict):
    assert decide(sum(ci) / 2, ci, 0.1, comparison, p, sample=Sample(50)).verdict == verdict


def test_a_claim_that_needs_a_p_does_not_hold_without():
    assert decide(0.3, (0.2, 0.4), 0.1, ">", None).verdict == "holds"
    assert decide(0.3, (0.2, 0.4), 0.1, ">", None, needs_p=True).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("value", "ci"), [(None, None), (0.3, None), (math.nan, (0, 1)), (0.3, (0, math.inf))]
)
def test_undefined_figures_are_inconclusive(value, ci):
    decision = decide(value, ci, 0.1, ">", sample=Sample(10))
    assert (decision.verdict, decision.n_to_decide) == ("inconclusive", None)
    assert "undefined" in decision.reason


def test_unknown_comparison():
    with pytest.raises(InputError, match="'>='"):
        decide(1.0, (0, 2), 0.1, ">=")


def test_the_number_of_images_decides_four_times_in_five():
    """The suggested n, used in a normal experiment of that size, gives the verdict with a chance of 80 %."""
    sd, n, value = 1.0, 100, 0.15
    se = sd / math.sqrt(n)
    half = stats.t.ppf(0.975, n - 1) * se
    more = decide(value, (value - half, value + half), 0.0, ">", sample=Sample(n)).n_to_decide
    power = stats.norm.sf(1.96 - value / (sd / math.sqrt(more)))
    assert power == pytest.approx(0.8, abs=0.01)
    by_p = decide(value, (0.01, 0.29), 0.0, ">", p=0.05, sample=Sample(n)).n_to_decide
    z = stats.norm.isf(0.05) * math.sqrt(by_p / n)
    assert stats.norm.sf(stats.norm.isf(0.01) - z) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(("units", "truth"), [(8, 0.45), (13, 0.3), (40, 0.2)])
def test_with_few_groups_the_number_decides_four_times_in_five(units, truth):
    """Exact power of Student's t test over as many groups as suggested: noncentral t."""
    error = 1 / math.sqrt(units)
    half = stats.t.ppf(0.975, units - 1) * error
    more = units_to_decide(truth, half, units)
    shift = truth * math.sqrt(more)
    assert stats.nct.sf(stats.t.ppf(0.975, more - 1), more - 1, shift) == pytest.approx(0.8, abs=0.02)
    # A rule that takes the interval for a normal one asks for far more.
    assert more < 0.97 * units * (half / truth * 2.8 / 1.96) ** 2


def test_a_simultaneous_interval_asks_for_more():
    """The half-width of a max-t interval is more standard errors, and stays so at any number of images."""
    error, units = 0.05, 400
    alone = units_to_decide(0.06, 1.966 * error, units)
    six = units_to_decide(0.06, 2.6 * error, units, reach=2.6)
    assert six / alone == pytest.approx(((2.6 + 0.84) / (1.96 + 0.84)) ** 2, rel=0.02)
    taken_for_normal = units_to_decide(0.06, 2.6 * error, units)
    assert six < 0.9 * taken_for_normal


def test_groups_are_called_groups():
    decision = decide(0.1, (-0.1, 0.3), 0.0, ">", sample=Sample(1300, 13))
    assert "groups of images (" in decision.reason
    groups = units_to_decide(0.1, 0.2, 13)
    assert decision.n_to_decide == 100 * groups
    assert f"about {groups} groups" in decision.reason
    assert "groups" not in decide(0.1, (-0.1, 0.3), 0.0, ">", sample=Sample(1300)).reason


@pytest.mark.parametrize(
    ("value", "ci", "p"),
    [
        (0.01, (-0.5, 0.5), None),  # the sample says nothing of the effect's size
        (0.3, (0.2, 0.4), 0.21),
        (0.3, (0.2, 0.4), 0.9),
        (0.0, (-0.1, 0.1), None),
    ],
)
def test_no_number_is_suggested_where_the_sample_suggests_none(value, ci, p):
    decision = decide(value, ci, 0.0, ">", p, sample=Sample(100))
    assert (decision.verdict, decision.n_to_decide) == ("inconclusive", None)
    assert "probably" not in decision.reason


def needed(value, ci=None, p=None, **options):
    """Images that would decide the claim of a figure above 0, from 100."""
    return decide(value, ci or (value - 1, value + 1), 0.0, ">", p, sample=Sample(100), **options).n_to_decide


def test_an_interval_and_a_null_that_are_both_open_need_the_larger_number():
    by_interval = {value: needed(value, p=0.001) for value in (0.3, 0.9)}
    by_p = {p: needed(1.5, p=p) for p in (0.02, 0.19)}
    assert by_interval[0.3] > by_p[0.19] > by_p[0.02]
    assert by_p[0.19] > by_interval[0.9]
    for value, of_value in by_interval.items():
        assert needed(value) == of_value
        for p, of_p in by_p.items():
            assert needed(value, p=p) == max(of_value, of_p)


def test_a_null_that_says_nothing_leaves_no_number_and_one_that_is_not_asked_does():
    """A p above 0.2, or none where one is needed: no number of images is known to make the claim hold."""
    assert needed(0.5, p=0.2) is not None
    for options in ({"p": 0.21}, {"p": math.nan}, {"needs_p": True}):
        assert needed(0.5, **options) is None
        assert needed(1.5, **options) is None
        # Below the threshold the claim can fail, which no null has a say in.
        assert needed(-0.5, **options) == needed(-0.5) == needed(0.5)


@given(value=st.floats(-3, 3), p=st.none() | st.floats(0, 1), units=st.none() | st.integers(3, 60))
def test_what_is_decided_needs_no_images(value, p, units):
    decision = decide(value, (value - 1, value + 1), 0.0, ">", p, sample=Sample(100, units))
    if decision.verdict != "inconclusive":
        assert decision.n_to_decide is None
    assert (decision.n_to_decide is None) == ("probably" not in decision.reason)


@given(
    distances=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted),
    half=st.floats(0.01, 1),
    p=st.none() | st.floats(0, 1),
    n=st.integers(3, 10**4),
    side=st.sampled_from([-1, 1]),
)
def test_further_from_the_threshold_fewer_images_decide(distances, half, p, n, side):
    near, far = (
        decide(
            side * d * half, (side * d * half - half, side * d * half + half), 0.0, ">", p, sample=Sample(n)
        )
        for d in distances
    )
    if near.verdict == far.verdict == "inconclusive":
        numbers = [math.inf if found.n_to_decide is None else found.n_to_decide for found in (near, far)]
        assert numbers[0] >= numbers[1]


@given(distance=st.floats(1e-6, 1e3), half=st.floats(1e-6, 1e3), units=st.integers(3, 10**6))
def test_a_suggestion_is_never_beyond_reason(distance, half, units):
    more = units_to_decide(distance, half, units)
    assert more is None or 2 <= more <= MOST_TIMES * units
    assert more is not None or half > distance


@given(value=finite, below=st.floats(0, 1e6), above=st.floats(0, 1e6), threshold=finite)
def test_mirrored_claims_mirror_the_verdict(value, below, above, threshold):
    ci = (value - below, value + above)
    over, under = (
        decide(value, ci, threshold, ">", sample=Sample(9)),
        decide(value, ci, threshold, "<", sample=Sample(9)),
    )
    mirror = {"holds": "fails", "fails": "holds", "inconclusive": "inconclusive"}
    assert under.verdict == mirror[over.verdict]
    assert (over.verdict == "holds") == (ci[0] > threshold)
    if over.n_to_decide is not None:
        assert over.n_to_decide >= 1
        assert under.n_to_decide == over.n_to_decide
