"""A record as a notebook shows it, and as columns."""

import re

import pytest

from geolip_theorems import read_records
from geolip_theorems.results.frame import COLUMNS

from .conftest import ATTACK


@pytest.fixture
def record(labelled):
    (found,) = read_records(labelled.results)
    return found


def test_a_notebook_shows_the_verdict_cards(record):
    html = record._repr_html_()
    assert html.count('class="card ') == len(record.verdicts)
    assert all(verdict.title in html for verdict in record.verdicts)
    assert ATTACK not in html
    assert "href=" not in html, "there is nothing to lead to"


def test_its_style_reaches_nothing_else(record):
    (style,) = re.findall(r"<style>(.*?)</style>", record._repr_html_(), re.DOTALL)
    assert style.startswith("@scope (.geolip-theorems) {")
    assert style.count("{") == style.count("}")
    assert ":root" not in style
    assert not re.search(r"(^|\s)body\b", style)


def test_columns_hold_verdicts_and_figures(record):
    frame = record.to_frame()
    assert tuple(frame) == COLUMNS
    assert {len(column) for column in frame.values()} == {len(frame["metric"])}
    judged = len(record.verdicts)
    assert frame["value"][:judged] == [verdict.value for verdict in record.verdicts]
    assert frame["verdict"][:judged] == [verdict.verdict for verdict in record.verdicts]
    row = frame["metric"].index("error")
    assert frame["value"][row] == record.measurements["calibrated"]["error"]["value"]
    assert [frame[name][row] for name in ("low", "high")] == list(
        record.measurements["calibrated"]["error"]["ci95"]
    )
    assert frame["verdict"][row] is None
    assert len(set(zip(frame["metric"], frame["claim"], strict=True))) == len(frame["metric"])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_libraries_take_the_columns(record, library):
    frame = record.to_frame()
    table = pytest.importorskip(library).DataFrame(frame)
    assert table.shape == (len(frame["metric"]), len(COLUMNS))
    assert list(table["metric"]) == frame["metric"]


def test_a_subject_that_was_not_measured_has_no_rows(several):
    broken = read_records(several.results)[2]
    assert set(map(len, broken.to_frame().values())) == {0}
    assert "not measured" in broken._repr_html_()
