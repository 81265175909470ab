"""The tables of questions: what is a figure has a row, what is not has none; at a terminal nothing is cut."""

import io

import pytest
from rich.console import Console

from geolip_theorems.drawing.blocks import table
from geolip_theorems.drawing.shown import Shown
from geolip_theorems.drawing.text import VerdictRow
from geolip_theorems.questions import Question, base
from geolip_theorems.questions.readout.tables import probe_numbers
from geolip_theorems.report import terminal

SCRIPT = {"probes": {"release": {"train": 0.9, "test": 0.5}}}


def figure(value, ci95):
    return {"value": value, "ci95": ci95, "n": 90, "method": "m"}


def rows_of(**fair):
    """The accuracies' rows by their first cell."""
    measurements = {"script": SCRIPT, "calibrated": {"probes": fair}}
    measurements["script_accuracies"] = {"release": {"mean": 0.45, "std": 0.02}}
    block = probe_numbers(Shown(1, {"measurements": measurements}))
    return block.caption, {row[0].text: [cell.text for cell in row[1:]] for row in block.rows}


def test_every_accuracy_has_a_row_and_the_confusions_none():
    caption, rows = rows_of(
        probe="ridge",
        chance=0.1,
        n_classes=2,
        n_folds=5,
        repeats=2,
        release=figure(0.6, [0.5, 0.7]),
        friction=figure(0.4, None),
        settle=figure(None, None),
        confusion={"classes": [0, 1], "release": [[5, 1], [2, 4]], "friction": [[3, 3], [3, 3]]},
    )
    assert "Chance 10.0 %" in caption
    assert rows == {
        "release": ["60.0 %", "50.0 to 70.0 %", "90.0 %", "50.0 %", "45.0 %", "2.0 %"],
        "friction": ["40.0 %", *"–––––"],
        "settle": list("––––––"),
    }


def test_too_many_classes_for_confusions_change_nothing():
    with_none = rows_of(probe="conv", release=figure(0.6, [0.5, 0.7]), confusion=None)
    assert with_none == rows_of(probe="conv", release=figure(0.6, [0.5, 0.7]))
    assert list(with_none[1]) == ["release"]


def printed(width, *parts):
    console = Console(file=io.StringIO(), width=width)
    for part in parts:
        console.print(part)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_a_wide_table_is_folded_and_loses_nothing(width):
    columns = ["class", *(f"column {i}" for i in range(12))]
    rows = [[f"name {r}", *(r + i / 7 for i in range(12))] for r in range(3)]
    block = table("A title", columns, rows)
    text = printed(width, *terminal.table(block, width))
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("A title") == 1
    assert text.count("name 0") == (2 if width == 80 else 1)
    for row in block.rows:
        assert all(cell.text in text for cell in row)


def verdict(**other):
    found = {
        "question": "q9",
        "claim": "c",
        "metric": "m",
        "title": "which thing the eigenvalues classify better than any of the many",
    }
    found |= {"value": 0.79734, "ci95": [0.7571, 0.8293], "threshold": 0.0, "comparison": ">", "n": 2000}
    found |= {"p": None, "verdict": "inconclusive", "reason": "the interval 0.7571 to 0.83 contains 0; more"}
    found |= {"attribution": None, "attributed": None, "expected": None, "unit": "pp", "script_value": 0.8}
    return found | other


@pytest.mark.parametrize("width", [80, 100, 120, 160])
def test_a_verdicts_row_is_whole_at_every_width(width):
    text = printed(width, terminal.verdict_table([VerdictRow(verdict(), all_images=12_000)] * 2, width))
    rows = [line for line in text.splitlines() if line.startswith("q9")]
    assert len(rows) == 2
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for part in ("inconclusive", "which thing", "+79.73 pp", "[+75.71, +82.93]", "> 0 pp"):
        assert part in rows[0]
    assert ("2,000 of 12,000" in rows[0]) == (width >= terminal.WIDE)


def subject(**other):
    found = {"id": "model-images", "error": None, "notes": [], "verdicts": [verdict()], "measurements": {}}
    return found | other


def test_verdicts_come_first_and_tables_only_where_asked_for(monkeypatch):
    own = Question("q9", "?", "", tables=lambda: [lambda shown: table("Own table", ("a", "b"), [["x", 1.5]])])
    monkeypatch.setattr(base, "_ASKED", {**base._ASKED, "q9": own})
    console = Console(file=io.StringIO(), width=100)
    terminal.render([subject()], console)
    assert "Own table" not in console.file.getvalue()
    terminal.render([subject()], console, tables=True)
    text = console.file.getvalue()
    assert text.index("inconclusive") < text.index("Own table")
    assert text.count("model-images") == 2, "once per printing, not in every row"
