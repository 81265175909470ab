"""Paired differences: their intervals cover where roots bend and groups differ in size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from geolip_theorems.stats import estimators
from geolip_theorems.stats.estimators import Mean, RootMeanSquare, signed_root

SAMPLES, IMAGES = 600, 100
LEAST = stats.binom.ppf(1e-4, SAMPLES, 0.95)  # of 600 intervals that cover 95 %


def two_models(truths, alike, seed=0):
    """(SAMPLES, IMAGES) squared CVs of two models: true means in standard errors, correlation over images."""
    rng = np.random.default_rng(seed)
    first, own = rng.standard_normal((2, SAMPLES, IMAGES))
    second = alike * first + np.sqrt(1 - alike**2) * own
    a, b = (x + truth / np.sqrt(IMAGES) for x, truth in zip((first, second), truths, strict=True))
    return a, b


def covered(truths, alike):
    """Samples whose interval contains the true difference of the CVs."""
    truth = np.diff(signed_root(np.array(truths) / np.sqrt(IMAGES)))[0]
    found = [RootMeanSquare().paired(*pair) for pair in zip(*two_models(truths, alike), strict=True)]
    reach = stats.t.ppf(0.975, IMAGES - 1)
    return sum(abs(one.difference - truth) <= reach * one.error for one in found)


NEAR_ZERO = [((0, 0), 0.6), ((0, 1), 0.999), ((0, 3), 0.95), ((1, 3), 0.95), ((-4, 1), 0.0), ((4, 20), 0.6)]


@pytest.mark.parametrize(("truths", "alike"), NEAR_ZERO)
def test_differences_of_cvs_near_0_are_covered(truths, alike):
    assert covered(truths, alike) >= LEAST


def test_tangents_would_not_cover(monkeypatch):
    """Negative control: small ellipses are the tangents', and of models alike they miss the truth."""
    monkeypatch.setattr(estimators, "REACHES", (0.01,))
    assert covered((20, 20), 0.95) >= LEAST
    assert covered((0, 1), 0.999) < 0.8 * SAMPLES


@pytest.mark.parametrize("alike", [0.0, 0.999])
def test_far_from_0_a_difference_of_cvs_has_the_tangents_error(alike):
    """Against the standard error of the mean of the images' linearised contributions."""
    for a, b in zip(*(x[:5] + 6 for x in two_models((0, 0), alike)), strict=True):
        linear = b / (2 * np.sqrt(b.mean())) - a / (2 * np.sqrt(a.mean()))
        found = RootMeanSquare().paired(a, b)
        assert found.error == pytest.approx(stats.sem(linear), rel=0.01)
        assert found.difference == pytest.approx(np.sqrt(b.mean()) - np.sqrt(a.mean()))
        assert (found.units, found.df) == (IMAGES, pytest.approx(IMAGES - 1))
        groups = np.arange(IMAGES) ** 2 // 1000  # of 1 to 32 images
        expected = Mean().paired(0 * linear, linear, groups)
        found = RootMeanSquare().paired(a, b, groups)
        assert found.error == pytest.approx(expected.error, rel=0.02)
        assert (found.units, found.df) == (10, expected.df)


def test_a_model_against_itself_differs_by_nothing_and_certainly():
    for a in (np.random.default_rng(0).standard_normal(40), np.zeros(40)):
        assert RootMeanSquare().paired(a, a).difference == RootMeanSquare().paired(a, a).error == 0


SIZES = np.array([1, 1, 2, 3, 5, 8, 13])


def in_groups(sizes, samples=3000):
    """Groups of images, and (samples, N) values that the images of a group have in common."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return groups, np.random.default_rng(1).standard_normal((samples, len(sizes)))[:, groups]


@pytest.mark.parametrize(("sizes", "widened"), [(SIZES, 1.3), (np.full(7, 4), None)])
def test_unevenly_sized_groups_widen_the_interval_of_a_mean(sizes, widened):
    """The standard error is that of the simulated differences; G / (G - 1) alone falls short of it."""
    groups, values = in_groups(sizes)
    found = [Mean().paired(np.zeros(len(groups)), row, groups) for row in values]
    error = np.sqrt(np.mean([one.error**2 for one in found]))
    assert error == pytest.approx(np.std([one.difference for one in found]), rel=0.04)
    sums = np.stack([values[:, groups == g].sum(1) for g in range(len(sizes))], 1)
    residuals = sums - values.mean(1, keepdims=True) * sizes
    plain = np.sqrt(7 / 6 * np.square(residuals).sum(1).mean()) / len(groups)
    assert error == pytest.approx(plain) if widened is None else error > np.sqrt(widened) * plain
