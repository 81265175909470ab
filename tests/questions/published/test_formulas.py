"""The published formulas against NumPy written out."""

import math

import numpy as np
import pytest

from geolip_theorems.questions.published.formulas import (
    codebook_axes,
    codebook_figures,
    codebook_kind,
    effective_rank,
    end_ratio,
    gate,
    pentachoron_cv,
    projective_angle,
    random_subsets,
    s_delta,
    s_delta_of_means,
    simplex_volumes,
    spatial_cv_of_mean,
    uniform_angle,
)
from geolip_theorems.questions.published.free import random_rows

RNG = np.random.default_rng


def cayley_menger(points):
    """The published formula: (-1)^k det(CM) / (2^(k-1) ((k-1)!)^2) of k points, square rooted."""
    k = len(points)
    bordered = np.ones((k + 1, k + 1))
    bordered[0, 0] = 0
    bordered[1:, 1:] = ((points[:, None] - points[None]) ** 2).sum(-1)
    squared = (-1) ** k * np.linalg.det(bordered) / (2 ** (k - 1) * math.factorial(k - 1) ** 2)
    return math.sqrt(max(squared, 0))


@pytest.mark.parametrize("dims", [4, 5, 16])
def test_volumes_are_cayley_mengers(dims):
    points = RNG(dims).standard_normal((50, 5, dims))
    np.testing.assert_allclose(simplex_volumes(points), [cayley_menger(p) for p in points], rtol=1e-8)


def test_a_simplex_whose_volume_is_known():
    corners = np.concatenate([np.zeros((1, 4)), np.diag([1.0, 2.0, 3.0, 4.0])])
    assert simplex_volumes(corners) == pytest.approx(1 * 2 * 3 * 4 / 24)
    assert simplex_volumes(np.zeros((5, 4))) == 0


def test_cv_is_the_volumes_standard_deviation_over_their_mean():
    M = random_rows(RNG(0), 3, 20, 6)
    chosen = random_subsets(RNG(1), (3, 2, 200), 20, 5)
    for patch in range(3):
        for part in range(2):
            volumes = np.array([cayley_menger(M[patch, rows]) for rows in chosen[patch, part]])
            expected = volumes.std(ddof=1) / volumes.mean()
            assert pentachoron_cv(M, RNG(1), 2)[patch, part] == pytest.approx(expected)


def test_only_the_first_512_rows_count():
    M = random_rows(RNG(0), 1, 600, 4)
    other = M.copy()
    other[:, 512:] = 7
    assert pentachoron_cv(M, RNG(1)) == pentachoron_cv(other, RNG(1))


def test_no_cv_without_volume():
    assert np.isnan(pentachoron_cv(random_rows(RNG(0), 2, 20, 3), RNG(0))).all()
    assert np.isnan(pentachoron_cv(random_rows(RNG(0), 2, 4, 4), RNG(0))).all()
    assert np.isnan(pentachoron_cv(np.ones((1, 20, 4)), RNG(0))).all()


def test_subsets_hold_different_numbers_and_each_as_often():
    chosen = random_subsets(RNG(0), (6000,), 7, 5)
    assert (np.diff(np.sort(chosen), axis=1) > 0).all()
    counts = np.bincount(chosen.ravel(), minlength=7)
    np.testing.assert_allclose(counts, 6000 * 5 / 7, rtol=0.03)


def test_effective_rank_and_ratio():
    S = np.array([3.0, 2.0, 1.0])
    p = S / 6
    assert effective_rank(S) == pytest.approx(np.exp(-(p * np.log(p)).sum()))
    assert effective_rank(np.ones(5)) == pytest.approx(5)
    assert effective_rank(np.array([1.0, 0.0])) == pytest.approx(1, abs=1e-5)
    assert end_ratio(S) == 3


def test_the_two_deltas_differ_where_moves_cancel():
    before = np.zeros((1, 2, 2))
    after = np.array([[[1.0, -1.0], [0.5, -0.5]]])
    assert s_delta(after, before) == pytest.approx(0.75)
    assert s_delta_of_means(after, before) == pytest.approx(0)
    assert s_delta_of_means(after + 1, before) == pytest.approx(1)


def test_gate():
    assert gate(np.array(-2.0)) == pytest.approx(0.2 / (1 + math.exp(2)))
    assert gate(np.array(0.0)) == pytest.approx(0.1)


def test_antipodal_rows_become_one_axis():
    rows = np.array([[1.0, 0, 0], [-2.0, 0.1, 0], [0, 1, 0], [0, 0, 3], [0.3, 0, -1]])
    axes, pairs = codebook_axes(rows)
    assert pairs == 2
    assert len(axes) == 3
    np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    merged = unit[0] - unit[1]
    assert max(abs(axes @ merged) / np.linalg.norm(merged)) == pytest.approx(1)


def test_a_row_is_in_one_pair_only_and_the_most_opposite_comes_first():
    angles = np.array([0.0, np.pi, np.pi + 0.1])
    axes, pairs = codebook_axes(np.stack([np.cos(angles), np.sin(angles)], 1))
    assert (pairs, len(axes)) == (1, 2)
    np.testing.assert_allclose(np.abs(axes[0]), [1, 0], atol=1e-12)


def test_projective_angle_knows_no_direction():
    axes = np.array([[1.0, 0], [0, -1.0]])
    assert projective_angle(axes) == projective_angle(-axes) == pytest.approx(np.pi / 2)


@pytest.mark.parametrize("dims", [2, 3, 4, 16])
def test_uniform_angle_is_that_of_many_draws(dims):
    drawn = random_rows(RNG(dims), 1, 3000, dims)[0]
    assert uniform_angle(dims) == pytest.approx(projective_angle(drawn), abs=0.01)


def test_kinds_of_codebooks():
    crowded = np.array([1.0, 0, 0, 0]) + 0.1 * RNG(0).standard_normal((48, 4))
    apart = np.eye(4)
    kinds = [
        codebook_kind(codebook_figures(r)["deviation"])
        for r in (crowded, apart, random_rows(RNG(1), 1, 48, 4)[0])
    ]
    assert kinds == ["degenerate", "polytope", "uniform"]


def test_spatial_cv_of_the_mean_map():
    friction = RNG(0).random((3, 2, 2, 4))
    flat = np.array([friction[:, y, x].mean() for y in range(2) for x in range(2)])
    assert spatial_cv_of_mean(friction) == pytest.approx(
        np.sqrt(((flat - flat.mean()) ** 2).mean()) / flat.mean()
    )
