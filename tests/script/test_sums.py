"""Exact sums: the same whatever the cut and the order, and what fractions give for all images at once."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geolip_theorems.script.sums import MOST, ClassSums, ExactSum, blocks

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = hnp.arrays(np.float32, st.tuples(st.integers(1, 12), st.just(2)), elements=FLOATS)


def cut(values, places):
    """Rows cut at some places."""
    return np.split(values, sorted({place % len(values) for place in places} - {0}))


def summed(make, pieces):
    total = make()
    for piece in pieces:
        total.add(*piece)
    return total


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


@given(values=ROWS, places=st.lists(st.integers(0, 11)), order=st.randoms(use_true_random=False))
def test_neither_cut_nor_order_shows(values, places, order):
    whole = summed(lambda: ExactSum((2,)), [(values,)])
    pieces = [(piece,) for piece in cut(values, places)]
    order.shuffle(pieces)
    found = summed(lambda: ExactSum((2,)), pieces)
    assert found.parts.tobytes() == whole.parts.tobytes()
    assert found.value().tobytes() == whole.value().tobytes()
    assert found.count == whole.count == len(values)


def test_sums_of_floats_do_depend_on_the_order():
    """Negative control: what the law above is there for."""
    values = np.random.default_rng(0).lognormal(-5, 9, 500).astype(np.float32)
    orders = [np.random.default_rng(seed).permutation(values) for seed in range(20)]
    assert len({np.add.accumulate(order, dtype=np.float64)[-1] for order in orders}) > 1
    assert len({summed(lambda: ExactSum(()), [(order,)]).value().tobytes() for order in orders}) == 1


@given(
    values=ROWS,
    labels=st.lists(st.integers(0, 2), min_size=12, max_size=12),
    places=st.lists(st.integers(0, 11)),
)
def test_class_sums(values, labels, places):
    labels = np.array(labels[: len(values)])
    pieces = list(zip(cut(values, places), cut(labels, places), strict=True))
    means = summed(lambda: ClassSums(3, (2,)), pieces[::-1]).means()
    for c in range(3):
        of_class = values[labels == c]
        if not len(of_class):
            assert np.isnan(means[c]).all()
            continue
        exact = [math.fsum(of_class[:, j].astype(float)) / len(of_class) for j in range(2)]
        np.testing.assert_allclose(means[c], exact, rtol=1e-14, atol=1e-14 * np.abs(of_class).max())


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
