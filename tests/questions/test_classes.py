"""Question 2: classes that are alike are not told apart by chance, and planted differences are."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity

from geolip_theorems.questions import Study
from geolip_theorems.questions.classes.measure import (
    corrected_cosines,
    held_out_minimum,
    linearised_interval,
    measure,
    shuffled_cosines,
    stratified_variance,
)
from geolip_theorems.stats.decisions import Sample, decide

NAMES = tuple("abcdefgh")


def drawn(means, per_class, noise=0.5, seed=0, amplitude=0.3):
    """Positive maps (N, gh, gw) around class means (C, gh, gw), with brightness varying over images."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(means)), per_class)
    maps = means[labels] * np.exp(amplitude * rng.standard_normal((len(labels), 1, 1)))
    return maps + noise * rng.standard_normal(maps.shape), labels


def bumps(n_classes, height, side=8):
    means = np.ones((n_classes, side, side))
    for c in range(n_classes):
        means[c, c % side] += height
    return means


def class_figures(x, y, n_splits, groups=None, **options):
    study = Study(SimpleNamespace(error=x, labels=y, classes=NAMES, groups=groups), **options)
    return measure(study, n_splits).figures["class_cosine"]


def measured(x, y, **options):
    return class_figures(x, y, **{"n_permutations": 499, "n_splits": 10} | options)


def verdict(result):
    figure = result["min"]
    return decide(
        figure["value"], figure["ci95"], 0.99, "<", figure["p"], sample=Sample(figure["n"]), needs_p=True
    ).verdict


def test_identical_classes_do_not_hold_however_noisy():
    """Few noisy images: the script's minimum is below 0.99 by noise alone."""
    result = measured(*drawn(bumps(4, 0), 12, noise=1.0))
    assert result["raw_min"]["value"] < 0.99
    assert result["min"]["p"] > 0.01
    assert verdict(result) != "holds"


def test_identical_classes_fail_with_enough_images():
    result = measured(*drawn(bumps(4, 0), 80))
    assert result["min"]["value"] == pytest.approx(1, abs=0.005)
    assert verdict(result) == "fails"
    assert min(c["p_holm"] for c in result["per_class"].values()) > 0.01


def test_planted_difference_is_found_and_sized():
    means = bumps(3, 1.0)
    result = measured(*drawn(means, 60))
    true = cosine_similarity(means.reshape(3, -1)).min()
    assert verdict(result) == "holds"
    assert result["min"]["ci95"][0] < true < result["min"]["ci95"][1]
    assert result["min"]["p"] == pytest.approx(1 / 500)


def test_shuffled_labels_undo_a_difference():
    x, y = drawn(bumps(3, 1.0), 60)
    assert verdict(measured(x, np.random.default_rng(0).permutation(y))) != "holds"


def test_the_class_that_differs_is_named():
    means = bumps(5, 0)
    means[3, 2:5] += 0.6
    result = measured(*drawn(means, 60), n_permutations=1999)
    carriers = [name for name, c in result["per_class"].items() if c["p_holm"] < 0.01]
    assert carriers == ["d"]
    assert "d" in result["min"]["pairs"][0]


def test_p_is_uniform_under_the_null():
    ps = []
    for seed in range(120):
        x, y = drawn(bumps(3, 0), 8, seed=seed)
        ps.append(measured(x, y, n_permutations=99, seed=seed)["min"]["p"])
    assert stats.kstest(ps, "uniform").pvalue > 1e-3


def test_raw_minimum_is_the_cosine_of_the_class_means():
    x, y = drawn(bumps(4, 0.3), 30)
    means = np.stack([x[y == c].mean(0).ravel() for c in range(4)])
    expected = cosine_similarity(means)[np.triu_indices(4, 1)].min()
    assert measured(x, y)["raw_min"]["value"] == pytest.approx(expected)


def test_shuffled_cosines_are_those_of_shuffled_labels():
    """The matrix product of indicators against class means taken one shuffle at a time."""
    x, y = drawn(bumps(3, 0.2), 10)
    flat = x.reshape(len(x), -1)
    found = shuffled_cosines(flat, y, None, 5, 4)
    rng = np.random.default_rng(5)
    shuffles = rng.permuted(np.tile(y, (4, 1)), axis=1)
    for row, a, b in zip(shuffles, found["minima"], found["shuffled_medians"], strict=True):
        means = np.stack([flat[row == c].mean(0) for c in range(3)])
        assert a == pytest.approx(cosine_similarity(means)[np.triu_indices(3, 1)].min(), abs=1e-6)
        assert b[1] == pytest.approx(cosine_similarity(means)[1, [0, 2]].max(), abs=1e-6)


def test_whole_groups_of_unequal_size_are_divided_by_their_own_number():
    """Every shuffled cosine is one of the 126 that a choice of four of nine groups can have."""
    groups = np.repeat(np.arange(9), np.arange(1, 10))
    y = (np.arange(9) < 4).astype(int)[groups]
    x = np.random.default_rng(0).gamma(2.0, 1.0, (len(y), 5))
    found = shuffled_cosines(x, y, groups, 0, 200)
    assert found["described"]["shuffled"] == "labels of groups"
    chosen = [np.isin(groups, four) for four in itertools.combinations(range(9), 4)]
    possible = [cosine_similarity([x[of].mean(0)], [x[~of].mean(0)])[0, 0] for of in chosen]
    away = np.abs(found["minima"][:, None] - possible).min(1)
    np.testing.assert_allclose(away, 0, atol=1e-6)


def crossed(seed, effect=0.0, groups=12, n_classes=3, per_cell=4):
    """Images whose map depends on class x group, by chance, and on class by ``effect``."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(groups), n_classes * per_cell)
    y = np.tile(np.repeat(np.arange(n_classes), per_cell), groups)
    x = bumps(n_classes, effect).reshape(n_classes, -1)[y]
    x = x + 0.5 * rng.standard_normal((groups, n_classes, 64))[g, y] + 0.3 * rng.standard_normal(x.shape)
    return x.reshape(-1, 8, 8), y, g


def test_an_effect_of_class_that_changes_from_group_to_group_is_chance():
    results = [measured(x, y, groups=g, n_permutations=199) for x, y, g in map(crossed, range(40))]
    ps = np.array([result["min"]["p"] for result in results])
    assert stats.binomtest(int((ps < 0.01).sum()), 40, 0.01, alternative="greater").pvalue > 1e-3
    assert stats.kstest(ps, "uniform").pvalue > 1e-3
    assert not any(verdict(result) == "holds" for result in results)
    for x, y, g in map(crossed, range(5)):
        assert shuffled_images_p(x, y, g) < 0.01


def shuffled_images_p(x, y, g, n=199):
    """The rule that was: labels shuffled within groups, image by image."""
    rng, flat = np.random.default_rng(0), x.reshape(len(x), -1)

    def least(labels):
        means = np.stack([flat[labels == c].mean(0) for c in range(3)])
        return cosine_similarity(means)[np.triu_indices(3, 1)].min()

    home, null = np.argsort(g, kind="stable"), []
    for _ in range(n):
        row = np.empty_like(y)
        row[home] = y[np.lexsort((rng.random(len(y)), g))]
        null.append(least(row))
    return (1 + sum(value <= least(y) for value in null)) / (1 + n)


def test_a_class_effect_in_every_group_is_found():
    found = [measured(x, y, groups=g) for x, y, g in (crossed(seed, effect=1.5) for seed in range(10))]
    assert sum(verdict(result) == "holds" for result in found) >= 9


def test_fewer_than_six_groups_have_no_interval():
    x, y, g = crossed(0, effect=1.5, groups=5)
    result = measured(x, y, groups=g)
    assert result["min"]["value"] < 0.95
    assert result["min"]["ci95"] is None
    assert "no interval from 5 groups" in result["min"]["method"]
    assert verdict(result) == "inconclusive"


def test_each_class_has_an_interval():
    """Over 200 samples it contains the class's true mean cosine with the others."""
    means = bumps(3, 0.7)
    true = cosine_similarity(means.reshape(3, -1))[0, 1:].mean()
    held = 0
    for seed in range(200):
        x, y = drawn(means, 16, seed=seed)
        ci = class_figures(x, y, n_permutations=1, n_splits=1)["per_class"]["a"]["ci95"]
        held += ci[0] <= true <= ci[1]
    assert stats.binomtest(held, 200, 0.95).pvalue > 1e-3


def test_a_small_class_that_carries_the_pair_leaves_few_degrees_of_freedom():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2], [4, 300, 300])
    x = bumps(3, 0.7).reshape(3, -1)[y] + 0.3 * rng.standard_normal((604, 64))
    weights = np.zeros((3, 3))
    weights[0, 1] = 1
    method = linearised_interval(x, y, None, weights, 0.9)[1]
    assert "3 degrees of freedom" in method
    weights[0, 1], weights[1, 2] = 0, 1
    assert int(linearised_interval(x, y, None, weights, 0.9)[1].split()[-4]) > 400


@pytest.mark.parametrize("sizes", [np.array([1, 1, 2, 3, 5, 8, 13]), np.full(7, 4)])
def test_unevenly_sized_groups_widen_the_interval_within_classes(sizes):
    """Two classes of groups of their own, images of a group alike: the difference of the means, simulated."""
    groups = np.repeat(np.arange(len(sizes) + 9), np.r_[sizes, np.full(9, 2)])
    y = (groups >= len(sizes)).astype(np.int64)
    rng = np.random.default_rng(0)
    differences, variances = [], []
    for _ in range(3000):
        x = rng.standard_normal(groups.max() + 1)[groups]
        means = np.array([x[y == 0].mean(), x[y == 1].mean()])
        effect = (x - means[y]) * np.array([-1, 1])[y] / np.bincount(y)[y]
        variance, df = stratified_variance(effect, y, groups)
        differences.append(means[1] - means[0])
        variances.append(variance)
        assert 2 < df < 14
    assert np.mean(variances) == pytest.approx(np.var(differences), rel=0.08)


def test_the_raw_minimum_says_why_it_has_no_interval():
    result = measured(*drawn(bumps(3, 0.5), 20))["raw_min"]
    assert result["ci95"] is None
    assert "no interval" in result["method"]


@pytest.mark.parametrize("size", [1, 4])
def test_corrected_cosine_is_nearly_unbiased(size):
    """Over 400 samples its mean is the true cosine, where the raw one is far below; in groups as well."""
    means = bumps(2, 0.5).reshape(2, -1)
    true = cosine_similarity(means)[0, 1]
    rng = np.random.default_rng(1)
    raw, corrected = [], []
    for _ in range(400):
        y = np.arange(48) % 2
        groups = np.arange(48) // size
        x = means[y] * np.exp(0.3 * rng.standard_normal((48, 1))) + 0.4 * rng.standard_normal((48, 64))
        x += 0.5 * rng.standard_normal((groups.max() + 1, 64))[groups]
        corrected.append(corrected_cosines(x, y, None if size == 1 else groups, 2)[0, 1])
        raw.append(cosine_similarity([x[y == 0].mean(0), x[y == 1].mean(0)])[0, 1])
    error = np.std(corrected) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected) - true) < 4 * error
    if size == 1:
        assert abs(np.mean(raw) - true) > 8 * error


def test_groups_of_one_image_change_nothing():
    x, y = drawn(bumps(3, 0.5), 20)
    flat = x.reshape(len(x), -1)
    np.testing.assert_allclose(
        corrected_cosines(flat, y, np.arange(len(y)), 3), corrected_cosines(flat, y, None, 3), atol=1e-9
    )


def test_scale_leaves_the_cosine():
    x, y = drawn(bumps(3, 0.5), 20)
    flat = x.reshape(len(x), -1)
    a, b = (held_out_minimum(z, y, None, 0, 5) for z in (flat, flat * 1000))
    assert a["value"] == pytest.approx(b["value"])
    assert a["ci95"] == pytest.approx(b["ci95"])


def test_classes_with_too_few_images_are_named():
    x, y = drawn(bumps(3, 0.5), 20)
    keep = np.r_[:43]  # three images of the last class
    result = measured(x[keep], y[keep])
    assert result["left_out"] == ["c"]
    assert set(result["per_class"]) == {"a", "b"}
    only_one = measured(x[:22], y[:22])
    assert only_one["min"]["value"] is None
    assert "fewer than two classes" in only_one["min"]["method"]


def test_whole_groups_are_shuffled_where_groups_are_of_one_class():
    """Photographs cut into blocks: 3 blocks per class leave few ways to shuffle, so p cannot be small."""
    x, y = drawn(bumps(2, 1.0), 40)
    groups = np.arange(80) // 10  # four groups a class
    result = measured(x, y, groups=groups)
    assert result["min"]["null"]["shuffled"] == "labels of groups"
    assert result["min"]["p"] >= 1 / 70  # 70 ways of choosing 4 of 8 blocks
    assert verdict(result) != "holds"
