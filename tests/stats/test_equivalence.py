"""Equality is shown by an interval inside the margin, and by nothing else."""

import numpy as np
import pytest

from geolip_theorems.stats.equivalence import (
    against,
    compared,
    distance_figure,
    folded,
    largest,
    nested_shares,
)
from geolip_theorems.stats.figure import figure
from geolip_theorems.stats.intervals import mean_figure


@pytest.mark.parametrize(
    ("ends", "equal"),
    [
        ((-0.5, 0.5), True),
        ((-1.5, 0.5), None),
        ((-3, 3), None),
        ((1.1, 2), False),
        ((-2, -1.1), False),
        ((-1, 0), None),
    ],
)
def test_within(ends, equal):
    assert against(0.0, 0.0, ends, 1.0)["equal"] is equal


def test_a_wide_interval_around_the_reference_shows_nothing():
    assert compared(figure(5.0, (3.0, 7.0), 9, ""), 5.0, 1.0)["equal"] is None
    assert compared(figure(5.0, (4.9, 5.1), 9, ""), 5.0, 1.0)["equal"] is True


def test_an_uncertain_reference_widens_the_interval():
    low, high = compared(figure(5.0, (4.7, 5.3), 9, ""), 4.0, 1.0, half=0.4)["ci95"]
    assert (low, high) == pytest.approx((0.5, 1.5))


def test_no_interval_no_comparison():
    assert compared(figure(5.0, None, 3, ""), 5.0, 1.0) is None
    none = distance_figure(figure(5.0, None, 3, "too few"), 5.0, 1.0)
    assert (none["value"], none["ci95"], none["method"]) == (None, None, "too few")


def test_distance_in_margins():
    near = distance_figure(figure(5.1, (4.9, 5.3), 9, ""), 5.0, 0.5)
    assert (near["value"], *near["ci95"]) == pytest.approx((0.2, 0.0, 0.6))
    below = distance_figure(figure(3.0, (2.5, 3.5), 9, ""), 5.0, 0.5)
    assert (below["value"], *below["ci95"]) == pytest.approx((4.0, 3.0, 5.0))


def test_the_largest_passes_where_all_pass():
    sizes = [folded(0.1, (-0.2, 0.4)), folded(-0.3, (-0.5, -0.1))]
    assert largest(sizes) == (0.3, (0.1, 0.5))


@pytest.mark.parametrize(("apart", "rate"), [(0.0, (0.85, 1.0)), (1.0, (0.0, 0.045)), (3.0, (0.0, 0.0))])
def test_how_often_equality_is_shown(apart, rate):
    """On the margin at most 2.5 % of the samples show it; where it is true most do."""
    rng, hits = np.random.default_rng(1), 0
    for _ in range(1000):
        values = rng.standard_normal(32) * 1.4 + apart
        hits += compared(mean_figure(values), 0.0, 1.0)["equal"] is True
    assert rate[0] <= hits / 1000 <= rate[1]


def test_shares_of_the_sampling_error():
    rng = np.random.default_rng(0)
    shape = (300, 4, 2)
    images, patches, draws = (rng.standard_normal((300, *part)) for part in ((1, 1), (4, 1), (4, 2)))
    found = nested_shares(1.0 * images + 2.0 * patches + 4.0 * draws + np.zeros(shape))
    truth = np.array([1.0, 4 / 4, 16 / 8])
    np.testing.assert_allclose(list(found.values()), truth / truth.sum(), atol=0.12)
    assert nested_shares(np.zeros(shape)) == {"images": 0.0, "patches": 0.0, "draws": 0.0}
    assert nested_shares(images + np.zeros(shape))["images"] == pytest.approx(1)
