"""Ratios of times: right on known distributions, quiet on equal ones, loud on slower ones."""

import numpy as np
import pytest

from benchmarks.timing import (
    LEVEL,
    STATISTICS,
    Limit,
    duration,
    machine_differences,
    median_interval,
    paired_change,
    saved_change,
)

TEN = Limit("median", share=0.1)


def rounds(rng, n, scale=1.0, noise=0.1):
    """Times with a long tail to the right, as times have."""
    return scale * 1e-3 * (1 + rng.gamma(1.0, noise, n))


def test_the_medians_interval_holds_its_level():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(2000):
        low, high = median_interval(rng.exponential(size=15))
        held += low <= np.log(2) <= high
    assert held / 2000 >= LEVEL - 0.005


def test_too_few_rounds_decide_nothing():
    assert median_interval(np.ones(5)) == (0.0, float("inf"))
    assert paired_change([1, 1, 1], [9, 9, 9]).verdict(TEN) == "open"
    assert saved_change([1, 1, 1], [9, 9, 9]).verdict(TEN) == "open"


@pytest.mark.parametrize("field", STATISTICS)
def test_a_doubled_time_is_found(field):
    rng = np.random.default_rng(1)
    old = rounds(rng, 40)
    change = paired_change(old, 2 * old, field)
    assert change.ratio == pytest.approx(2)
    assert change.low <= 2 <= change.high
    assert change.verdict(Limit(field, share=0.1)) == "regressed"
    unpaired = saved_change(old, 2 * old, field)
    assert unpaired.low <= 2 <= unpaired.high


def test_a_shared_burst_does_not_disturb_pairs():
    rng = np.random.default_rng(2)
    burst = np.where(rng.random(15) < 0.4, 5.0, 1.0)
    old, new = rounds(rng, 15, noise=0.02) * burst, rounds(rng, 15, noise=0.02) * burst
    assert paired_change(old, new).verdict(TEN) == "within"
    assert paired_change(old, 1.3 * new).verdict(TEN) == "regressed"


@pytest.mark.parametrize("compare", [paired_change, saved_change])
def test_equal_versions_hardly_ever_regress(compare):
    rng = np.random.default_rng(3)
    found = [compare(rounds(rng, 15, noise=0.3), rounds(rng, 15, noise=0.3)).verdict(TEN) for _ in range(300)]
    assert found.count("regressed") <= 2


def test_a_slower_machine_is_no_slower_model():
    rng = np.random.default_rng(4)
    old, yard = rounds(rng, 15, noise=0.02), rounds(rng, 15, noise=0.02)
    slow = {"old_yardstick": yard, "new_yardstick": 1.5 * yard}
    assert saved_change(old, 1.5 * old).verdict(TEN) == "regressed"
    change = saved_change(old, 1.5 * old, **slow)
    assert change.verdict(TEN) == "open"
    assert change.drift == pytest.approx(1.5)
    assert "the machine itself took 1.5 times as long" in change.describe()
    assert saved_change(old, 3 * old, **slow).verdict(TEN) == "regressed"


def test_a_noisy_yardstick_hides_no_large_change():
    rng = np.random.default_rng(5)
    yards = {name: rounds(rng, 15, noise=3.0) for name in ("old_yardstick", "new_yardstick")}
    assert saved_change(rounds(rng, 15), 20 * rounds(rng, 15), **yards).verdict(TEN) == "regressed"


def test_limits():
    assert str(TEN) == "median:10%"
    assert TEN.ratio(0.5) == pytest.approx(1.1)
    absolute = Limit("mean", seconds=0.001)
    assert absolute.ratio(0.01) == pytest.approx(1.1)
    change = paired_change([0.01] * 20, [0.0105] * 20, "mean")
    assert change.verdict(absolute) == "within"
    assert change.verdict(Limit("mean", seconds=0.0001)) == "regressed"


@pytest.mark.parametrize(
    ("seconds", "text"), [(2.0, "2 s"), (0.0123, "12.3 ms"), (4e-6, "4 us"), (5e-9, "5 ns")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_machines_are_told_apart_by_what_times_depend_on():
    here = {
        "node": "a",
        "torch": "2.9",
        "torch_threads": 2,
        "cpu": {"brand_raw": "x", "count": 2},
        "gpu": "H200",
    }
    assert machine_differences(here, {**here, "node": "b"}) == []
    other = {**here, "torch": "2.10", "cpu": {"brand_raw": "y", "count": 2}}
    del other["gpu"]
    assert machine_differences(here, other) == [
        "processor: 'x' then, 'y' now",
        "torch: '2.9' then, '2.10' now",
        "GPU: 'H200' then, none now",
    ]
