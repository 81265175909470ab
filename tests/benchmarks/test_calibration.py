"""Verdicts do what they claim on subjects with known truth, and worse rules are caught.

The cells here are small; ``make calibrate`` runs 2,000 subjects a cell.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from scipy import stats

from benchmarks.calibration import cells as calibration_cells
from benchmarks.calibration import run as calibrate
from benchmarks.calibration.cells import SIDE, pearson_for
from benchmarks.calibration.run import CELLS, Outcome, chosen, run_cell, table
from geolip_theorems.io.errors import InputError
from geolip_theorems.stats.class_null import ClassNull, sums_by
from geolip_theorems.stats.decisions import decide
from geolip_theorems.stats.ranks import rank_correlation

QUESTIONS = "geolip_theorems.questions"  # whose `measure` is a function and a module
SIMULATIONS = 60
FEW = 30  # enough where a broken rule is wrong nearly always
QUICK = [name for name in CELLS if name[:2] in ("q1", "q2", "q3", "q6")]


def ignores_interval(value, ci95, *rest, **options):
    return decide(value, (value, value), *rest, **options)


def ignores_null(value, ci95, threshold, comparison, p=None, **options):
    return decide(value, ci95, threshold, comparison, **options | {"needs_p": False})


@pytest.mark.parametrize("name", QUICK)
def test_verdicts_are_as_claimed(name):
    assert run_cell(CELLS[name], SIMULATIONS).refusals() == []


@pytest.mark.parametrize("name", ["q4 no signal", "q4 equal"])
def test_probe_verdicts_are_as_claimed(name):
    assert run_cell(CELLS[name], 12).refusals() == []


@pytest.mark.parametrize("name", ["q1 threshold", "q2 threshold", "q3 threshold", "q6 threshold"])
def test_a_rule_that_ignores_its_interval_is_caught(name):
    refusals = run_cell(CELLS[name], SIMULATIONS, judge=ignores_interval).refusals()
    assert any("not true" in text for text in refusals)


@pytest.mark.parametrize("name", ["q3 not with class", "q3 class x group"])
def test_a_rule_that_ignores_its_null_is_caught(name):
    refusals = run_cell(CELLS[name], FEW, judge=ignores_null).refusals()
    assert any("not true" in text for text in refusals)


def test_a_null_without_class_by_group_is_caught(monkeypatch):
    """Images shuffled within groups, as once was: what changes from group to group is taken for class."""
    real = ClassNull.of

    def shuffled_images(x, y, groups):
        means = sums_by(x, groups.index, groups.count) / groups.sizes[:, None]
        return real(x - means[groups.index], y, None)

    monkeypatch.setattr(ClassNull, "of", shuffled_images)
    assert any("not true" in text for text in run_cell(CELLS["q3 class x group"], FEW).refusals())


def test_a_correction_that_counts_channels_as_independent_is_caught(monkeypatch):
    """The sampling part of 48 values where a grey patch has 16 pixels."""
    real = calibration_cells.spatial_measure

    def counted(study):
        study.maps.patch_pixels = 48
        return real(study)

    monkeypatch.setattr(calibration_cells, "spatial_measure", counted)
    assert any("not true" in text for text in run_cell(CELLS["q1 grey residuals"], FEW).refusals())


def test_a_mode_that_costs_more_by_rounding_alone_is_caught(monkeypatch):
    monkeypatch.setattr(import_module(f"{QUESTIONS}.modes.measure"), "MARGIN", 0.0)
    assert any("not true" in text for text in run_cell(CELLS["q3 rounding"], FEW).refusals())


def test_a_correction_that_takes_groups_for_equal_is_caught(monkeypatch):
    """G/(G-1) where large groups' residuals are small: class means are thought to be less noisy."""
    module = import_module(f"{QUESTIONS}.classes.measure")
    monkeypatch.setattr(module, "unit_factor", lambda counts: len(counts) / max(len(counts) - 1, 1e-9))
    assert run_cell(CELLS["q2 uneven blocks"], 100).refusals()


def test_a_rule_that_never_holds_is_caught():
    refusals = run_cell(CELLS["q6 planted"], SIMULATIONS, judge=lambda *a, **k: decide(0, (-1, 1), 0, ">"))
    assert any("found" in text for text in refusals.refusals())


def test_an_interval_that_is_too_narrow_is_caught():
    n = 2000
    cell = CELLS["q6 threshold"]
    assert Outcome(cell, n, 50, 1900, 0.1, 0.0).refusals() == []
    assert any("interval" in text for text in Outcome(cell, n, 50, 1850, 0.1, 0.0).refusals())


def test_simulated_gradients_have_the_stated_correlation():
    rng = np.random.default_rng(0)
    r = pearson_for(0.3, SIDE * SIDE)
    a = rng.standard_normal((4000, SIDE * SIDE))
    b = r * a + np.sqrt(1 - r**2) * rng.standard_normal(a.shape)
    found = rank_correlation(a, b)
    assert found.mean() == pytest.approx(0.3, abs=4 * found.std() / np.sqrt(len(found)))
    assert stats.spearmanr(a[0], b[0]).statistic == pytest.approx(found[0])


def test_cells_are_chosen_by_the_beginning_of_their_names():
    assert {cell.name[:2] for cell in chosen(["q1", "q6"])} == {"q1", "q6"}
    assert [cell.name for cell in chosen(["q4 equal"])] == ["q4 equal"]
    assert len(chosen(["q4 equal,"])) > 1
    assert len(chosen(None)) == len(CELLS)
    with pytest.raises(InputError, match="q9"):
        chosen(["q9"])


def test_the_table_names_every_cell(tmp_path, capsys):
    out = tmp_path / "table.md"
    assert calibrate.main(["--cells", "q6 unrelated", "--simulations", "20", "--out", str(out)]) == 0
    assert "q6 unrelated" in out.read_text()
    assert "| yes |" in capsys.readouterr().out
    assert table([]).count("\n") == 1
