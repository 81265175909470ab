"""Verdicts from intervals and nulls, and attribution to the trained model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.errors import InputError
from geolip_theorems.measures.decisions import attributed, attribution, decide

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
    assert decide(sum(ci) / 2, ci, 0.1, comparison, p, n=50).verdict == verdict


def test_a_claim_that_needs_a_p_does_not_hold_without():
    assert decide(0.3, (0.2, 0.4), 0.1, ">", None).verdict == "holds"
    assert decide(0.3, (0.2, 0.4), 0.1, ">", None, needs_p=True).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("value", "ci"), [(None, None), (0.3, None), (math.nan, (0, 1)), (0.3, (0, math.inf))]
)
def test_undefined_figures_are_inconclusive(value, ci):
    decision = decide(value, ci, 0.1, ">", n=10)
    assert (decision.verdict, decision.n_to_decide) == ("inconclusive", None)
    assert "undefined" in decision.reason


def test_unknown_comparison():
    with pytest.raises(InputError, match="'>='"):
        decide(1.0, (0, 2), 0.1, ">=")


def test_the_number_of_images_decides_four_times_in_five():
    """The suggested n, used in a normal experiment of that size, gives the verdict with a chance of 80 %."""
    sd, n, value = 1.0, 100, 0.15
    se = sd / math.sqrt(n)
    more = decide(value, (value - 1.96 * se, value + 1.96 * se), 0.0, ">", n=n).n_to_decide
    power = stats.norm.sf(1.96 - value / (sd / math.sqrt(more)))
    assert power == pytest.approx(0.8, abs=0.005)
    by_p = decide(value, (0.01, 0.29), 0.0, ">", p=0.05, n=n).n_to_decide
    z = stats.norm.isf(0.05) * math.sqrt(by_p / n)
    assert stats.norm.sf(stats.norm.isf(0.01) - z) == pytest.approx(0.8, abs=0.005)


@given(value=finite, below=st.floats(0, 1e6), above=st.floats(0, 1e6), threshold=finite)
def test_mirrored_claims_mirror_the_verdict(value, below, above, threshold):
    ci = (value - below, value + above)
    over, under = decide(value, ci, threshold, ">", n=9), decide(value, ci, threshold, "<", n=9)
    mirror = {"holds": "fails", "fails": "holds", "inconclusive": "inconclusive"}
    assert under.verdict == mirror[over.verdict]
    assert (over.verdict == "holds") == (ci[0] > threshold)
    if over.n_to_decide is not None:
        assert over.n_to_decide >= 1
        assert under.n_to_decide == over.n_to_decide


TWINS = [{"value": v, "ci95": [v - 0.02, v + 0.02]} for v in (0.30, 0.32, 0.31)]


@pytest.mark.parametrize(
    ("ci", "comparison", "expected"),
    [
        ((0.48, 0.52), ">", True),
        ((0.33, 0.52), ">", False),  # overlaps a twin's interval
        ((0.35, 0.40), ">", False),  # past the intervals, within their spread
        ((0.10, 0.12), ">", False),  # different, the wrong way
        ((0.10, 0.12), "<", True),
        ((0.48, 0.52), "<", False),
    ],
)
def test_attribution(ci, comparison, expected):
    assert attributed({"value": np.mean(ci), "ci95": list(ci)}, TWINS, comparison) is expected


def test_attribution_uses_the_twins_own_intervals():
    alike = [{"value": 0.3, "ci95": [0.1, 0.5]}, {"value": 0.3, "ci95": [0.2, 0.4]}]
    assert attributed({"value": 0.45, "ci95": [0.44, 0.46]}, alike, ">") is False
    assert attributed({"value": 0.55, "ci95": [0.54, 0.56]}, alike, ">") is True


@pytest.mark.parametrize("twins", [[], TWINS[:1], [{"value": None, "ci95": None}] * 3])
def test_without_spread_nothing_is_attributed(twins):
    answer = attribution({"value": 0.5, "ci95": [0.4, 0.6]}, twins, ">")
    assert answer.attributed is None
    assert "at least 2" in answer.reason


def test_an_undefined_subject_is_not_attributed():
    assert attributed({"value": None, "ci95": None}, TWINS, ">") is None


def test_a_random_model_among_random_models_is_rarely_attributed():
    """The subject is itself a twin: at most 2.5 % may pass, by the prediction range alone."""
    rng = np.random.default_rng(0)
    draws = rng.normal(0.3, 0.02, (2000, 6))
    as_figure = lambda v: {"value": v, "ci95": [v, v]}  # noqa: E731
    passed = sum(attributed(as_figure(row[0]), [as_figure(v) for v in row[1:]], ">") for row in draws)
    assert stats.binomtest(passed, len(draws), 0.025, alternative="greater").pvalue > 1e-3
    assert passed > 0
