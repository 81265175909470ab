"""Random rows are free on every published claim and planted ones are not; the long version is a target."""

import pytest

from benchmarks.calibration.published import free_shares, refusals
from geolip_theorems.questions.published import margins


def test_random_rows_are_free():
    shares = free_shares(48, 4, 0.0, 20)
    assert set(shares) == {"cv", "rank", "ratio", "s0", "axes", "pairs", "deviation", "log_friction"}
    assert all(share == 1 for name, share in shares.items() if name not in ("axes", "pairs"))
    assert min(shares.values()) >= 0.85


@pytest.mark.parametrize(
    ("lean", "apart"), [(0.5, {"cv"}), (1.0, {"cv", "rank", "ratio", "s0", "log_friction"})]
)
def test_planted_rows_are_not(lean, apart):
    shares = free_shares(48, 4, lean, 6)
    assert {name for name, share in shares.items() if share == 0} >= apart


def test_a_margin_of_nothing_is_refused(monkeypatch):
    """The control: with a codebook's margin of less than a draw's spread random rows are not free."""
    monkeypatch.setattr("geolip_theorems.questions.published.measure.SINGLE", margins.SINGLE / 6)
    assert any(found.startswith("axes free in") for found in refusals(0.0, free_shares(48, 4, 0.0, 20)))
    assert refusals(1.0, {"cv": 0.06}) == ["planted band free in 6.0%"]
    assert refusals(0.0, {"cv": 0.96}) == refusals(1.0, {"cv": 0.04}) == refusals(0.5, {"cv": 1.0}) == []
