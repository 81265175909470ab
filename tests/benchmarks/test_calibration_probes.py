"""Lifts and attribution do what they claim on subjects with known truth, and worse rules are caught.

Small cells, see :mod:`tests.benchmarks.test_calibration`.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.calibration import probe_cells
from benchmarks.calibration.probe_cells import DETECTABLE, DETECTABLE_LIFT, features, lift
from benchmarks.calibration.run import CELLS, run_cell
from geolip_theorems.stats.attribution import attribution

ATTRIBUTION = [name for name in CELLS if name.startswith("attribution q6")]
GROUPED = [name for name in CELLS if name.endswith("groups") and name.startswith("q4")]


@pytest.mark.parametrize("name", ATTRIBUTION)
def test_attribution_is_as_claimed(name):
    assert run_cell(CELLS[name], 150).refusals() == []


@pytest.mark.parametrize("name", GROUPED)
def test_lifts_of_few_groups_are_as_claimed(name):
    assert run_cell(CELLS[name], 10).refusals() == []


def test_there_are_cells_for_few_groups():
    assert {name.split(", ")[1] for name in GROUPED} == {"6 groups", "13 groups"}


def ignoring_the_spread(subject, twins, comparison, **options):
    """Beyond the twins' mean by more than the images' chance: what single twins do plays no part."""
    found = attribution(subject, twins, comparison, **options)
    mean = found.twin["value"]
    alike = [twin | {"value": mean} for twin in twins]
    only_images = attribution(subject, alike, comparison, **options)
    return replace(found, twin=only_images.twin, difference=only_images.difference)


def test_a_rule_that_ignores_the_twins_spread_is_caught(monkeypatch):
    monkeypatch.setattr(probe_cells, "attribution", ignoring_the_spread)
    for name, says in (
        ("attribution q6, one more twin", "not true"),
        ("attribution q6, no of one more twin", "not true"),
    ):
        assert any(says in text for text in run_cell(CELLS[name], 150).refusals())


def test_the_planted_lift_is_the_one_stated_as_detectable():
    draws = [
        lift(np.random.default_rng([i, 3]), "release-friction", n=150, strengths=DETECTABLE)
        for i in range(30)
    ]
    stated = [figure["smallest_detectable"] for figure in draws]
    lifts = [figure["value"] for figure in draws]
    assert np.mean(stated) == pytest.approx(DETECTABLE_LIFT, abs=4 * np.std(stated) / 30**0.5 + 0.005)
    assert np.mean(lifts) == pytest.approx(DETECTABLE_LIFT, abs=4 * np.std(lifts) / 30**0.5)
    assert CELLS["q4 detectable lift"].truth == DETECTABLE_LIFT
    assert CELLS["q4 detectable lift"].detectable


def test_simulated_classes_are_equally_far_apart():
    rng = np.random.default_rng(0)
    y = np.arange(60_000) % 3
    x = features(rng, y, 5.0)
    means = np.stack([x[y == c].mean(0) for c in range(3)])
    apart = [np.linalg.norm(means[a] - means[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert np.ptp(apart) < 0.1 * np.mean(apart)  # columns are standardised, which bends the triangle little
