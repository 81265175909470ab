"""Question 2: classes that are alike are not told apart by chance, and planted differences are."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics.pairwise import cosine_similarity

from geolip_theorems.measures.classes import (
    class_structure,
    corrected_cosines,
    held_out_minimum,
    permuted_cosines,
)
from geolip_theorems.measures.decisions import decide

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


def measured(x, y, **options):
    return class_structure(
        x, y, NAMES, n_permutations=options.pop("n_permutations", 499), n_splits=10, **options
    )


def verdict(result):
    figure = result["min"]
    return decide(
        figure["value"], figure["ci95"], 0.99, "<", figure["p"], n=figure["n"], needs_p=True
    ).verdict


def test_identical_classes_do_not_hold_however_noisy():
    """Few noisy images: the seed protocol's minimum is below 0.99 by noise alone."""
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


def test_permuted_cosines_are_those_of_shuffled_labels():
    """The matrix product of indicators against class means taken one shuffle at a time."""
    x, y = drawn(bumps(3, 0.2), 10)
    flat = x.reshape(len(x), -1)
    low, against = permuted_cosines(flat, y, None, 5, 4)
    rng = np.random.default_rng(5)
    for row, a, b in zip(rng.permuted(np.tile(y, (4, 1)), axis=1), low, against, strict=True):
        means = np.stack([flat[row == c].mean(0) for c in range(3)])
        assert a == pytest.approx(cosine_similarity(means)[np.triu_indices(3, 1)].min(), abs=1e-6)
        assert b[1] == pytest.approx(cosine_similarity(means)[1, [0, 2]].max(), abs=1e-6)


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
    """Photographs cut into blocks: 3 blocks a class leave few ways to shuffle, so p cannot be small."""
    x, y = drawn(bumps(2, 1.0), 40)
    groups = np.arange(80) // 10  # four groups a class
    result = measured(x, y, groups=groups)
    assert result["min"]["null"]["shuffled"] == "whole groups"
    assert result["min"]["p"] >= 1 / 70  # 70 ways of choosing 4 of 8 blocks
    assert verdict(result) != "holds"
