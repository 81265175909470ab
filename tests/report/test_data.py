"""The data of a figure: what is drawn, taken from the page as CSV, is what record and companion hold."""

import csv
import re
from urllib.parse import unquote

import numpy as np
import pytest

from geolip_theorems.drawing.data import csv_address, drawn_rows
from geolip_theorems.drawing.style import drawing
from geolip_theorems.questions.modes.figures import ablation_curves, without_model
from geolip_theorems.report.html.write import load
from geolip_theorems.results import companion

from .test_page import Page


def tables(html: str) -> dict[str, list[list[str]]]:
    """Rows by the name of the file."""
    links = [found for tag, found in Page(html).tags if tag == "a" and found.get("class") == "data"]
    start = "data:text/csv;charset=utf-8,"
    assert all(link["href"].startswith(start) for link in links)
    texts = {link["download"]: unquote(link["href"].removeprefix(start)) for link in links}
    return {name: list(csv.reader(text.splitlines())) for name, text in texts.items()}


def test_every_drawing_and_every_row_of_maps_has_its_data(labelled):
    found = tables(labelled.html)
    assert labelled.html.count('class="data"') >= len(Page(labelled.html).drawings)
    assert all(len(rows) > 1 and len(set(map(len, rows))) == 1 for rows in found.values())
    arrays = companion.of_subject(labelled.record["subjects"][0], labelled.results.parent)
    head, *rows = found["error-over-all-images.csv"]
    shown = np.array([row[1:] for row in rows], float)
    np.testing.assert_allclose(
        shown / shown.mean(), arrays["picture/error"] / arrays["picture/error"].mean(), 1e-4
    )
    assert "mean squared error" in head[0]
    head, *rows = found["mean-error-map-of-each-class.csv"]
    kept = arrays["picture/class_error"]
    assert [row[1] for row in rows] == [str(i) for _ in kept for i in range(kept.shape[1])]
    np.testing.assert_allclose(np.array([row[2:] for row in rows], float), kept.reshape(len(rows), -1), 1e-4)


def test_points_have_their_intervals(labelled):
    _, *rows = tables(labelled.html)["what-the-error-goes-with.csv"]
    figure = labelled.record["subjects"][0]["measurements"]["calibrated"]["boundaries"]["gradient"]
    of_gradient = [(series, float(x)) for series, x, name in rows if name.startswith("gradient of the input")]
    assert [x for series, x in of_gradient if series == "value"] == pytest.approx([figure["value"]], rel=1e-4)
    ends = [x for series, x in of_gradient if series == "95 % interval"]
    assert ends == pytest.approx(figure["ci95"], rel=1e-4)


def test_bars_steps_and_lines_are_read_off():
    with drawing(2.0) as (canvas, axes):
        axes.barh([0, 1], [3.0, 4.0], label="wide")
        axes.stairs([5, 6], [0.0, 0.5, 1.0], label="steps")
        axes.axvline(0.25, label="limit")
        axes.plot([1, 2], [0, 1], gid="unseen")
        axes.set_yticks([0, 1], ["first", "second"])
        canvas.supxlabel("x of it")
    head, *rows = drawn_rows(canvas)
    assert head == ["series", "x of it", "row"]
    assert rows[:2] == [["wide", 3.0, "first"], ["wide", 4.0, "second"]]
    assert [row[:2] for row in rows[2:4]] == [["steps", 0.0], ["steps", 0.5]]
    assert rows[4:] == [["limit", 0.25, ""], ["unseen", 1, "first"], ["unseen", 2, "second"]]


def test_no_cell_is_a_formula_and_none_breaks_a_line():
    text = unquote(csv_address([["=1+1", "-x", "a\nb", 'say "it", so', -2.5, float("nan"), None]]))
    (row,) = csv.reader(re.sub("^.*?,", "", text).splitlines())
    assert row == ["'=1+1", "'-x", "a b", 'say "it", so', "-2.5", "nan", ""]


def test_the_cost_of_a_mode_stands_beside_errors_that_need_no_model(labelled):
    shown = load(1, labelled.record["subjects"][0], labelled.results.parent)
    known = without_model(shown)
    assert set(known) == {"mean image", "no output"}
    assert 0 < known["mean image"] < known["no output"]
    block = ablation_curves(shown)
    assert all(f"{value:.3g}" in block.caption and f">{name}<" in block.svg for name, value in known.items())
    shown.record["verdicts"].append({"claim": "good", "metric": "error"})
    for one in shown.get("controls.references"):
        one["good"] = {"value": 0.25} if one["name"] == "last layer" else None
    assert without_model(shown) == known | {"last layer": 0.25}
    shown.arrays.clear()
    assert without_model(shown) == {"last layer": 0.25}
