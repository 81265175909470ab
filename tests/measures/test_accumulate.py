"""Accumulators: the same whatever the cut and the order, and what NumPy gives for all images at once."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geolip_theorems.script.sums import (
    MOST,
    ClassSums,
    ExactSum,
    GramSums,
    HotPatches,
    Moments,
    blocks,
    merged,
)
from geolip_theorems.script.protocol import ridge_probe

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=FLOATS)


def cut(values, places):
    """Rows cut at some places."""
    return np.split(values, sorted({place % len(values) for place in places} - {0}))


def parts_of(make, pieces):
    parts = []
    for piece in pieces:
        part = make()
        part.add(*piece)
        parts.append(part)
    return parts


def state(accumulator):
    """All the numbers of an accumulator, as bytes."""
    return [
        state(value) if hasattr(value, "merge") else np.asarray(value).tobytes()
        for value in vars(accumulator).values()
    ]


@given(ROWS)
def test_exact_sums_are_those_of_fractions(values):
    total = ExactSum((2,))
    total.add(values)
    for column in range(2):
        exact = sum(Fraction(float(x)) for x in values[:, column])
        units = Fraction(2) ** -172
        held = sum(int(part) * 2 ** (16 * group) for group, part in enumerate(total.parts[:, column]))
        assert held * units == exact
        largest = float(np.abs(values[:, column]).max())
        assert abs(total.value()[column] - float(exact)) <= 2.0**-50 * largest * len(values)


@pytest.mark.parametrize("make", [lambda: ExactSum((2,)), lambda: Moments((2,))], ids=["sum", "moments"])
@given(values=ROWS, places=st.lists(st.integers(0, 11)), order=st.randoms(use_true_random=False))
def test_neither_cut_nor_order_shows(make, values, places, order):
    values = np.clip(values, -1e15, 1e15)  # squares stay within float32
    whole = parts_of(make, [(values,)])[0]
    parts = parts_of(make, [(piece,) for piece in cut(values, places)])
    order.shuffle(parts)
    assert state(merged(parts)) == state(whole)


@given(
    values=ROWS,
    labels=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    places=st.lists(st.integers(0, 11)),
)
def test_class_sums(values, labels, places):
    labels = np.array(labels[: len(values)])
    pieces = list(zip(cut(values, places), cut(labels, places), strict=True))
    parts = parts_of(lambda: ClassSums(3, (2,)), pieces)
    means = merged(parts[::-1]).means()
    for c in range(3):
        of_class = values[labels == c]
        if not len(of_class):
            assert np.isnan(means[c]).all()
            continue
        exact = [math.fsum(of_class[:, j].astype(float)) / len(of_class) for j in range(2)]
        np.testing.assert_allclose(means[c], exact, rtol=1e-14, atol=1e-14 * np.abs(of_class).max())


def test_merging_is_associative_and_has_a_neutral_element():
    rng = np.random.default_rng(0)
    values = rng.lognormal(-5, 3, (9, 2)).astype(np.float32)

    def parts():
        return parts_of(lambda: Moments((2,)), [(piece,) for piece in np.split(values, 3)])

    a, b, c = parts()
    a.merge(b)
    a.merge(c)
    x, y, z = parts()
    y.merge(z)
    x.merge(y)
    x.merge(Moments((2,)))
    assert state(a) == state(x)


def test_moments_are_numpys():
    values = np.random.default_rng(1).gamma(2.0, 1e-3, (500, 3, 2)).astype(np.float32)
    moments = Moments((3, 2))
    for (piece,) in blocks(values, rows=64):
        moments.add(piece)
    exact = values.astype(np.float64)
    np.testing.assert_allclose(moments.mean(), exact.mean(0), rtol=1e-14)
    np.testing.assert_allclose(moments.variance(), exact.var(0, ddof=1), rtol=1e-12)
    np.testing.assert_array_equal(moments.least, exact.min(0))
    np.testing.assert_array_equal(moments.most, exact.max(0))


def test_hot_patches():
    error = np.ones((4, 5, 5), np.float32)
    error[:3, 1, 2] = 50.0
    parts = parts_of(lambda: HotPatches((5, 5)), [(error[3:],), (error[:3],)])
    found = merged(parts)
    assert found.images == 4
    assert found.counts[1, 2] == 3
    assert found.counts.sum() == 3


@given(places=st.lists(st.integers(0, 199), max_size=8), order=st.randoms(use_true_random=False))
def test_gram_matrices_differ_by_no_more_than_their_bound(places, order):
    rng = np.random.default_rng(2)
    X, y = rng.standard_normal((200, 6)) * 10.0 ** rng.integers(-6, 6, 6), rng.integers(0, 3, 200)
    whole = parts_of(lambda: GramSums(6, 3), [(X, y)])[0]
    parts = parts_of(lambda: GramSums(6, 3), list(zip(cut(X, places), cut(y, places), strict=True)))
    order.shuffle(parts)
    found = merged(parts)
    assert (np.abs(found.gram - whole.gram) <= whole.bound()).all()
    np.testing.assert_array_equal(found.counts, whole.counts)


def test_the_bound_is_not_idle():
    """A matrix of other images lies far outside it."""
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((200, 6)), rng.integers(0, 3, 200)
    whole, fewer = parts_of(lambda: GramSums(6, 3), [(X, y), (X[:199], y[:199])])
    assert (np.abs(fewer.gram - whole.gram) > whole.bound()).any()


def test_the_probe_of_the_sums_is_the_seed_protocols():
    rng = np.random.default_rng(4)
    y = rng.integers(0, 4, 300)
    X = (rng.standard_normal((300, 12)) + rng.standard_normal((4, 12))[y]).astype(np.float32)
    direct = ridge_probe(torch.from_numpy(X), torch.from_numpy(y), torch.arange(300), 240, 4)
    parts = parts_of(lambda: GramSums(12, 4), [(X[a : a + 60], y[a : a + 60]) for a in range(0, 240, 60)])
    mean, std, weights = merged(parts).ridge()
    hits = ((X[240:] - mean) / std @ weights).argmax(1) == y[240:]
    np.testing.assert_array_equal(hits, direct["hits"].numpy())


def test_what_cannot_be_summed_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        ExactSum((1,)).add(np.array([[np.inf]], np.float32))
    full = ExactSum((1,))
    full.count = MOST
    with pytest.raises(OverflowError):
        full.add(np.ones((1, 1), np.float32))


def test_the_largest_sums_fit():
    largest = np.full((1, 1), np.finfo(np.float32).max)
    total = ExactSum((1,))
    total.add(largest)
    total.parts *= MOST
    assert (total.parts >= 0).all()
    np.testing.assert_allclose(total.value(), float(largest[0, 0]) * MOST)


def test_blocks_of_a_memory_map_give_their_pages_back(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.arange(1 << 20, dtype=np.float32))
    array = np.load(path, mmap_mode="r")
    total = sum(float(block.sum(dtype=np.float64)) for (block,) in blocks(array, rows=4096))
    assert total == float(np.arange(1 << 20).sum())
