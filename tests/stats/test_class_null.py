"""What chance may change: labels of images, labels of groups, signs of groups' profiles."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from geolip_theorems.questions.modes.measure import class_dependence
from geolip_theorems.stats.class_null import ClassNull, exchangeable, sums_by
from geolip_theorems.stats.intervals import permutation_p


def drawn(chance, n_classes, n, seed=0):
    sums, counts = zip(*chance.draws(n_classes, n, seed), strict=True)
    return np.concatenate(sums), np.concatenate(counts)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n_groups=st.integers(2, 7))
def test_observed_sums_are_those_of_the_classes(seed, n_groups):
    rng = np.random.default_rng(seed)
    x, y = rng.random((30, 3)), rng.permutation(np.arange(30) % 3)
    for groups in (None, rng.permutation(np.arange(30) % n_groups)):
        chance = ClassNull.of(x, y, groups)
        home = np.zeros(30, int) if groups is None or "signs" not in chance.kind else groups
        centred = np.stack([row - x[home == g].mean(0) for row, g in zip(x, home, strict=True)])
        expected = [centred[y == c].sum(0) for c in range(3)]
        np.testing.assert_allclose(chance.observed(3)[0][0], expected, atol=1e-5)
        assert chance.total == pytest.approx(np.square(centred).sum())


def test_without_groups_labels_of_images_are_shuffled():
    x, y = np.eye(3)[[0, 0, 1]], np.array([0, 0, 1])
    chance = ClassNull.of(x, y, None)
    assert chance.kind == "labels of images"
    sums, counts = drawn(chance, 2, 3000, 1)
    assert (counts == [2, 1]).all()
    # The class of one image is each image a third of the time.
    single = sums[:, 1] + x.mean(0)
    odd = np.isclose(single, x[2], atol=1e-6).all(1).sum()
    assert stats.binomtest(int(odd), 3000, 1 / 3).pvalue > 1e-4


def test_groups_of_one_class_are_shuffled_whole_and_counted_as_shuffled():
    groups = np.repeat(np.arange(6), [1, 2, 3, 4, 5, 6])
    y = np.array([0, 1, 0, 1, 0, 1])[groups]
    x = np.random.default_rng(0).random((21, 2))
    chance = ClassNull.of(x, y, groups)
    assert chance.kind == "labels of groups"
    sums, counts = drawn(chance, 2, 400)
    assert (counts.sum(1) == 21).all()
    ways = {sum(c) for c in itertools.combinations([1, 2, 3, 4, 5, 6], 3)}
    assert set(counts[:, 0]) == ways  # 6 to 15 images: the shuffle's own number, not the nine of the labels
    means = x.mean(0) + sums / counts[..., None]
    assert means.min() > x.min()
    assert means.max() < x.max()  # dividing by the labels' own numbers leaves what means can be


def test_signs_of_few_groups_are_all_tried_once():
    rng = np.random.default_rng(0)
    groups, y = np.repeat(np.arange(4), 6), np.arange(24) % 2
    chance = ClassNull.of(rng.random((24, 2)), y, groups)
    assert chance.kind == "signs of groups"
    sums, _ = drawn(chance, 2, 999)
    assert len(sums) == 2**4 - 1
    assert len(np.unique(sums[:, 0, 0].round(9))) == 15
    np.testing.assert_allclose(sums[:, 0] + sums[:, 1], 0, atol=1e-6)  # profiles sum to nothing in a group
    described = chance.describe(np.zeros(15))
    assert (described["groups"], described["least_p"]) == (4, 1 / 8)
    assert chance.describe(np.zeros(15), even=False)["least_p"] == 1 / 16


def test_groups_of_one_class_say_nothing_beside_others():
    groups, y = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 1, 1, 1])
    chance = ClassNull.of(np.arange(6.0)[:, None], y, groups)
    assert chance.describe(np.zeros(9))["groups"] == 2


def crossed(seed, groups=10, n_classes=3, per_cell=12, interaction=2.0, effect=0.0):
    """Shares whose classes differ from group to group by chance; one class varies most, and skewed."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), n_classes * per_cell)
    y = np.tile(np.repeat(np.arange(n_classes), per_cell), groups)
    cell = rng.exponential(1, (groups, n_classes, 2)) - 1
    cell[:, 1:] *= 0.5
    x = rng.standard_normal((len(y), 2)) + interaction * cell[g, y] + rng.standard_normal((groups, 2))[g]
    x[:, 0] += effect * y
    return x, y, g


def p_of(x, y, g, seed=0):
    observed, null, _ = class_dependence(x, y, g, seed, 1023)
    return permutation_p(observed, null, "greater", 1e-5 * observed)


def p_of_shuffled_images(x, y, g, seed=0, n=199):
    """The rule that was: labels shuffled within groups, image by image."""
    rng = np.random.default_rng(seed)

    def between(labels):
        return sum((labels == c).sum() * np.square(x[labels == c].mean(0)).sum() for c in np.unique(y))

    x = x - sums_by(x, g, g.max() + 1)[g] / np.bincount(g)[g][:, None]
    home = np.argsort(g, kind="stable")
    null = []
    for _ in range(n):
        row = np.empty_like(y)
        row[home] = y[np.lexsort((rng.random(len(y)), g))]
        null.append(between(row))
    return permutation_p(between(y), np.array(null), "greater")


def test_an_effect_of_class_that_changes_from_group_to_group_is_chance():
    ps = [p_of(*crossed(seed)) for seed in range(150)]
    assert stats.binomtest(sum(p < 0.01 for p in ps), 150, 0.01, alternative="greater").pvalue > 1e-3
    assert stats.binomtest(sum(p < 0.1 for p in ps), 150, 0.1, alternative="greater").pvalue > 1e-3
    old = [p_of_shuffled_images(*crossed(seed)) for seed in range(20)]
    assert np.mean([p < 0.01 for p in old]) > 0.7  # what the old rule took for an effect of class


def test_an_effect_of_class_in_all_groups_is_found():
    found = [p_of(*crossed(seed, effect=2.0)) < 0.01 for seed in range(50)]
    assert np.mean(found) > 0.8


def test_few_groups_cannot_decide():
    assert p_of(*crossed(0, groups=6, effect=50.0)) == 1 / 32


def test_kinds():
    y = np.array([0, 0, 1, 1])
    assert exchangeable(y, None) == "labels of images"
    assert exchangeable(y, np.array([0, 0, 1, 2])) == "labels of groups"
    assert exchangeable(y, np.array([0, 1, 1, 2])) == "signs of groups"
