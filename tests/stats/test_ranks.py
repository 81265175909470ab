"""Rank correlations over an image's patches against SciPy and regression."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LinearRegression

from geolip_theorems.stats.ranks import partial_rank_correlation, rank_correlation

RNG = np.random.default_rng(0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 999), ties=st.booleans())
def test_rank_correlation_is_scipys(seed, ties):
    rng = np.random.default_rng(seed)
    a, b = rng.random((3, 20)), rng.random((3, 20))
    if ties:
        a, b = a.round(1), b.round(1)
    expected = [stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(rank_correlation(a, b), expected, atol=1e-12)
    np.testing.assert_allclose(rank_correlation(a * 9, np.exp(b)), expected, atol=1e-12)


def test_partial_correlation_is_that_of_regression_residuals():
    a, g = RNG.random((5, 60)), RNG.random((5, 60))
    b = a + 2 * g + 0.3 * RNG.random((5, 60))
    for i, given_ in enumerate(partial_rank_correlation(a, b, g)):
        ra, rb, rg = (stats.rankdata(m[i]) for m in (a, b, g))
        fit = LinearRegression().fit(rg[:, None], np.stack([ra, rb], 1))
        left = np.stack([ra, rb], 1) - fit.predict(rg[:, None])
        assert given_ == pytest.approx(np.corrcoef(left.T)[0, 1])


def test_flat_rows_have_defined_outcomes():
    flat, varied = np.ones((1, 9)), RNG.random((1, 9))
    assert rank_correlation(flat, varied)[0] == 0
    assert np.isnan(rank_correlation(varied, flat)[0])
    assert partial_rank_correlation(varied, varied**2, flat)[0] == pytest.approx(1)
    assert np.isnan(partial_rank_correlation(RNG.random((1, 9)), varied, varied)[0])
