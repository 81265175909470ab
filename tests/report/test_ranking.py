"""Ranks of several models: exact where they differ, open where they do not, right as often as they say."""

import re

import numpy as np
import pytest

from geolip_theorems.compare.ranking import rankings
from geolip_theorems.report.comparison import ranked

from .sides import N, images, side


def test_models_that_differ_have_one_rank_each_and_the_least_error_is_first():
    hard, rng = images(0), np.random.default_rng(1)
    sides = [side(f"m{k}", hard * (1 + 0.1 * k) + rng.normal(0, 0.01, N)) for k in (2, 0, 1)]
    (found,) = rankings(sides)
    assert [place.ranks for place in found.places] == [(3, 3), (1, 1), (2, 2)]
    assert (found.apart, found.pairs) == (3, 3)


def test_without_images_to_pair_the_same_models_are_not_told_apart():
    hard = images(0)
    sides = [side(f"m{k}", hard * (1 + 0.02 * k), arrays=False) for k in range(3)]
    (found,) = rankings(sides)
    assert [place.ranks for place in found.places] == [(1, 3)] * 3


def test_a_model_and_its_copies_share_their_ranks():
    hard = images(0)
    (found,) = rankings([side("a", hard), side("b", hard), side("c", 2 * hard)])
    assert [place.ranks for place in found.places] == [(1, 2), (1, 2), (3, 3)]


def test_equal_models_are_ordered_in_five_per_cent_of_runs_at_most():
    """500 runs of four models that are equally good: all rank intervals of a run must hold at once."""
    wrong = 0
    for seed in range(500):
        rng, hard = np.random.default_rng([seed, 1]), images(seed)
        sides = [side(f"m{k}", hard * rng.gamma(20.0, 1 / 20, N)) for k in range(4)]
        wrong += rankings(sides)[0].apart > 0
    assert wrong / 500 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 500)
    assert wrong > 0, "negative control: the intervals are not so wide that nothing is ever told apart"


def test_two_models_and_other_images_make_no_table():
    assert rankings([side("a", images(0)), side("b", images(1)), side("c", images(2), "other")]) == []


def test_a_table_has_a_column_a_model():
    hard = images(0)
    found = rankings([side("a", hard), side("b", 2 * hard), side("a", 3 * hard)])
    ((title, columns, rows),) = ranked(found)
    assert title == "3 models on some"
    assert columns == ("", "metric", "a (a run)", "b", "a (a run)", "told apart")
    assert [re.sub(r".*\((.*)\)", r"\1", text) for text in rows[0][2:5]] == ["1", "2", "3"]
    assert rows[0][5] == "3 of 3 pairs"


@pytest.mark.parametrize("missing", [0, 2])
def test_a_model_without_the_figure_has_no_rank(missing):
    sides = [side(f"m{k}", images(0) * (1 + k)) for k in range(4)]
    sides[missing].subject["measurements"]["calibrated"]["error"] = None
    (found,) = rankings(sides)
    ranks = [place.ranks for place in found.places]
    assert ranks.pop(missing) is None
    assert ranks == [(1, 1), (2, 2), (3, 3)]
