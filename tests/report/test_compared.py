"""Comparisons as HTML: in the report of a run that made some, and as a page of their own."""

import copy
import re
from dataclasses import replace
from html import unescape
from urllib.parse import unquote

import pytest

from geolip_theorems.compare.judging import change, compare, refused, said
from geolip_theorems.compare.pairing import Side
from geolip_theorems.questions.error import error
from geolip_theorems.questions.spatial import corrected_cv
from geolip_theorems.report.comparison import span
from geolip_theorems.report.html import comparing, write
from geolip_theorems.report.html.comparing import write_comparison
from geolip_theorems.results import companion
from geolip_theorems.results.comparison import Flip, regressed
from geolip_theorems.results.record import finite

from .conftest import ATTACK


@pytest.fixture(scope="module")
def worse(labelled):
    """The run against itself with half as much error again in every image."""
    subject = labelled.record["subjects"][0]
    arrays = companion.of_subject(subject, labelled.results.parent)
    other = copy.deepcopy(subject)
    figure = other["measurements"]["calibrated"]["error"]
    figure["value"] *= 1.5
    figure["ci95"] = [1.5 * end for end in figure["ci95"]]
    moved = {**arrays, "per_image/error": 1.5 * arrays["per_image/error"]}
    return compare(Side(subject, arrays, "before"), Side(other, moved, ATTACK), kind="models")


def test_a_page_of_its_own_names_what_got_worse(worse, tmp_path):
    text = write_comparison([worse], tmp_path / "compare.html").read_text(encoding="utf-8")
    assert "<h1>1 figure regressed</h1>" in text
    assert worse.regressions()
    assert "Cannot draw" not in text
    assert ATTACK not in text
    assert ATTACK in unescape(text)
    drawing = re.search(r'aria-label="Changes of \d+ metrics; regressed: ([^"]*)"', text)
    assert "release error" in drawing.group(1)
    row = re.search(r"<tr>\s*<th[^>]*>release error</th>.*?</tr>", text, re.S).group(0)
    assert ">worse<" in row


def test_a_verdict_and_its_figure_are_counted_by_kind(worse):
    flip = Flip("c", "a claim", "q1", "holds", "fails", "worse", "holds before, fails now; certainly worse")
    assert regressed([worse]) == "1 figure regressed"
    assert regressed([replace(worse, verdicts=[flip])] * 2) == "2 verdicts and 2 figures regressed"
    assert regressed([]) == "nothing regressed"
    within = replace(flip, outcome="worse within chance")
    assert regressed([replace(worse, verdicts=[within], metrics=[])]) == "nothing regressed"
    assert regressed([replace(worse, verdicts=[within], metrics=[])], "flip") == "1 verdict regressed"


def test_a_comparison_of_another_form_is_a_sentence(worse):
    title, (note,) = comparing.section(1, {**worse.to_dict(), "metrics": [{}]})
    assert title == "Comparison"
    assert "Not as this version writes it" in note.text


def test_a_runs_report_has_its_comparisons(worse, labelled, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "questions", lambda: ())

    def change(record):
        subjects = (Side(subject) for subject in record["subjects"] * 2)
        without = refused(*subjects, kind="baseline", reason=f"other images: {ATTACK}")
        record["comparisons"] = [finite(worse.to_dict()), finite(without.to_dict())]

    text = labelled.changed(tmp_path, change)
    assert '<section id="comparison"' in text
    assert "Every metric before and now" in text
    assert "Not compared: other images: &lt;script&gt;" in text
    assert "Cannot draw" not in text


def test_without_comparisons_there_is_no_such_section(labelled):
    assert 'id="comparison"' not in labelled.html


@pytest.mark.parametrize(("factor", "far"), [(5.8, True), (0.1, True), (1.02, False)])
def test_a_large_change_makes_the_scale_logarithmic_and_is_on_it(labelled, factor, far):
    subject = labelled.record["subjects"][0]
    arrays = companion.of_subject(subject, labelled.results.parent)
    moved = {**arrays, "per_image/error": factor * arrays["per_image/error"]}
    found = compare(Side(subject, arrays), Side(subject, moved))
    drawn = comparing.forest(found, 1)
    assert ("logarithmic" in drawn.caption) == far
    points = re.findall(r"^value,([^,]*),release error$", unquote(drawn.data), re.M)
    difference = next(d for d in found.metrics if d.metric == "error")
    assert [float(x) for x in points] == pytest.approx([-difference.difference / difference.smallest], 1e-4)


def test_a_claims_figure_moves_toward_the_claim_and_only_errors_get_better():
    assert said("slightly better", corrected_cv.name) == "slightly toward the claim"
    assert said("worse", corrected_cv.name) == "away from the claim"
    assert said("worse", error.name) == "worse"
    assert said("same", corrected_cv.name) == "same"


def test_outcome_and_why_stand_before_the_numbers(worse):
    made = comparing.metric_table(worse)
    assert list(made.columns[:3]) == ["metric", "outcome", "why"]
    row = next(row for row in made.rows if row[0].text == "release error")
    assert [cell.text for cell in row[1:3]] == [
        "worse",
        "certainly worse, by enough to matter; paired images",
    ]
    assert made.stacks


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "%", "+50.00 %"),
        (-0.25, "pp", "-25.00 pp"),
        (10.0, "%", "+1000.00 %"),
        (22.4, "%", "×23.4"),
        (9e5, "%", "×900,001"),
        (22.4, "", "+22.4"),
    ],
)
def test_a_very_large_relative_change_is_a_ratio(value, unit, text):
    assert change(value, unit) == text


def test_both_ends_of_an_interval_are_in_one_unit():
    assert span((-0.5, 22.4), "%") == "[×0.5, ×23.4]"
    assert span((-0.5, 0.5), "%") == "[-50.00, +50.00]"
