"""Free values: as the specification of the published claims has them, and random rows meet them."""

import numpy as np
import pytest

from geolip_theorems.questions.published.formulas import effective_rank
from geolip_theorems.questions.published.free import free_values, random_rows, spectrum_of


@pytest.mark.parametrize(
    ("V", "D", "figure", "value", "spread"),
    [
        (48, 4, "cv", 0.921, 0.05),
        (48, 4, "rank", 3.97, 0.015),
        (48, 4, "ratio", 1.39, 0.11),
        (48, 4, "axes", 37.2, 2.0),
        (48, 4, "deviation", 0.008, 0.008),
        (32, 4, "axes", 26.1, 1.5),
        (32, 4, "pairs", 5.9, 1.5),
    ],
)
def test_values_known_from_elsewhere(V, D, figure, value, spread):
    found = free_values(V, D)[figure]
    assert abs(found.value - value) < spread / 3
    assert found.spread == pytest.approx(spread, rel=0.35)
    assert 0 < found.half < spread


def test_rows_are_unit_vectors_and_independent():
    rows = random_rows(np.random.default_rng(0), 200, 6, 4)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=-1), 1)
    cosine = np.einsum("nvd,nwd->nvw", rows, rows)[:, 0, 1]
    assert abs(cosine.mean()) < 0.1


def test_column_norms_have_a_free_value_of_their_own():
    M = random_rows(np.random.default_rng(0), 300, 32, 4)
    norms = np.sqrt((M**2).sum(1))
    np.testing.assert_allclose(spectrum_of(M, norms=True), norms)
    assert free_values(32, 4, norms=True)["rank"].value == pytest.approx(
        effective_rank(norms).mean(), abs=0.002
    )
    assert free_values(32, 4, norms=True)["ratio"].value < free_values(32, 4)["ratio"].value - 0.1


def test_what_is_undefined_is_not_there():
    assert "cv" not in free_values(32, 3)
    assert "log_friction" not in free_values(40, 20)
