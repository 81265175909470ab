"""Coverage on real maps: what single digits contribute in the example run, drawn from without replacement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from geolip_theorems import metrics as m
from geolip_theorems.results import companion
from geolip_theorems.results.companion import PER_IMAGE

EXAMPLE = Path(__file__).parents[2] / "reports" / "example" / "freckles_embedded-digits.maps.npz"
N, SAMPLES = 200, 600
METRICS = {"corrected_cv": m.corrected_cv, "gradient": m.gradient_correlation, "error": m.error}


@pytest.fixture(scope="module")
def kept():
    arrays = companion.read(EXAMPLE)
    return {name.removeprefix(PER_IMAGE): array for name, array in arrays.items()}


def coverage(metric, kept, narrower=1.0):
    """Share of samples whose interval contains the whole set's figure.

    Intervals are those of an endless population; the factor sqrt(1 - n / N) makes them this one's.
    """
    rng, (values,) = np.random.default_rng(0), metric.values(kept)
    whole, inside = metric.estimator.figure(values)["value"], 0
    shrink = narrower * np.sqrt(1 - N / len(values))
    for _ in range(SAMPLES):
        found = metric.estimator.figure(values[rng.choice(len(values), N, replace=False)])
        low, high = (found["value"] + shrink * (end - found["value"]) for end in found["ci95"])
        inside += low <= whole <= high
    return inside / SAMPLES


@pytest.mark.parametrize("name", METRICS)
def test_intervals_cover_on_real_maps(name, kept):
    assert coverage(METRICS[name], kept) > 0.92  # three standard errors below 95 %
    assert coverage(METRICS[name], kept, narrower=0.5) < 0.8, "the control: intervals half as wide"


@pytest.mark.parametrize("name", METRICS)
def test_halves_of_one_set_differ_as_often_as_claimed(name, kept):
    """Unpaired: two runs of one model on different images, told apart one time in twenty."""
    metric, rng, apart = METRICS[name], np.random.default_rng(1), 0
    (values,) = metric.values(kept)
    for _ in range(SAMPLES):
        order = rng.permutation(len(values))
        one, other = (metric.estimator.figure(values[rows]) for rows in (order[:N], order[N : 2 * N]))
        half = np.hypot(*(np.ptp(figure["ci95"]) / 2 for figure in (one, other)))
        apart += abs(one["value"] - other["value"]) > half
    assert apart / SAMPLES < 0.08
    assert apart / SAMPLES > 0.02, "the control: intervals that are too wide never tell anything apart"
