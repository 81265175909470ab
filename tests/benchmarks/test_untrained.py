"""Rates among untrained models: as claimed for drawn twins, refused where all share the same near ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.calibration.untrained import Rates, rates, table
from geolip_theorems.questions import claims
from geolip_theorems.run.controls import Member
from geolip_theorems.stats.units import Units

CLAIM = next(claim for claim in claims() if claim.comparison == ">")
UNITS = Units.of(None, 50)


def pool(values, rng):
    """Models whose figures are these, each image's contribution scattered little around them."""
    name, found = CLAIM.metric.name, []
    for value in values:
        part = value + 0.01 * rng.standard_normal((1, 50))
        part += value - part.mean()
        figure = {"value": value, "ci95": [value - 0.003, value + 0.003], "n": 50, "method": ""}
        found.append(Member({name: figure}, {name: part}))
    return found


def test_drawn_twins_are_as_claimed_and_three_near_ones_are_not():
    rng = np.random.default_rng(0)
    models = pool([0.01, 0.0, -0.01, *rng.standard_normal(117)], rng)
    for twins in (3, 10, None):
        (found,) = rates(models, UNITS, twins, asked=[CLAIM])
        assert (found.subjects, found.twins) == (120, 119 if twins is None else twins)
        assert found.refusals() == []
    (near,) = rates(models, UNITS, fixed=range(3), asked=[CLAIM])
    assert near.subjects == 117
    assert len(near.refusals()) == 2
    text = table({"drawn": [found], "near": [near]})
    assert "(refused) |" in text.splitlines()[-1]
    assert f"| {CLAIM.name} | " in text


def test_what_cannot_be_compared_is_said():
    models = pool([0.1] * 5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="5 twins from a pool of 5"):
        rates(models, UNITS, 5)
    nothing = [Member({}, {}) for _ in range(5)]
    assert rates(nothing, UNITS, asked=[CLAIM]) == [Rates(CLAIM.name, 4, 0, 0, 0)]
    assert "- and -" in table({"all": rates(nothing, UNITS, asked=[CLAIM])})
