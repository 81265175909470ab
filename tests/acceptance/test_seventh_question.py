"""A question in one file, :mod:`tests.acceptance.concentration`, is everywhere that the other six are."""

import json
import re
import runpy
from importlib import resources

import jsonschema
import numpy as np
import pytest
import torch

from geolip_theorems.compare.sides import compare_runs
from geolip_theorems.questions import claims, questions
from geolip_theorems.report.html.write import write_report
from geolip_theorems.report.markdown import summary
from geolip_theorems.results import companion

from .conftest import GOLDEN, HERE, ROOT

FILE = HERE / "concentration.py"
TEST = "test_the_error_gathers_in_few_patches[concentration.worst_tenth > 0.12-svae_d4-scenes]"
METRIC, CLAIM, TITLE = "concentration.worst_tenth", "concentration", "the error gathers in few patches"
Q1 = ROOT / "theorems" / "theorem3_release_fidelity" / "test_q1_spatial_structure.py"


@pytest.fixture(scope="module")
def run(suite, tmp_path_factory):
    """Question 7 beside question 1, with twins and a report; kept as a baseline."""
    return suite(FILE, Q1, "--controls", 3, "--save-baseline", "main", folder=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def later(suite, run, tmp_path_factory):
    """Another model, an error of which is spread evenly, against that baseline."""
    folder = tmp_path_factory.mktemp("later")
    content = torch.load(GOLDEN, weights_only=True)
    content["model_state_dict"]["dec_out.bias"] += 20.0
    torch.save(content, folder / "bright.pt")
    baseline = run.folder / "reports" / "baselines" / "main"
    options = ("--controls", 0, "--no-report", "--baseline", baseline)
    return suite(FILE, ROOT / "theorems" / "baseline", *options, folder=folder, model=folder / "bright.pt")


def test_it_is_judged_under_its_condition(run):
    verdict = run.verdict(CLAIM)
    assert verdict["verdict"] == ("holds" if verdict["ci95"][0] > 0.12 else "inconclusive")
    assert (verdict["question"], verdict["metric"], verdict["title"]) == ("q7", METRIC, TITLE)
    assert re.search(re.escape(f"concentration.py::{TEST}") + " (PASSED|SKIPPED)", run.text)
    assert "test_error_varies_over_patches[spatial_cv.corrected > 0.1-svae_d4-scenes]" in run.text


def test_its_figure_is_the_mean_of_what_its_images_contribute(run):
    found = run.subject["measurements"]["calibrated"]["concentration"]["worst_tenth"]
    kept = companion.of_subject(run.subject, run.results.parent)["per_image/worst_tenth"]
    assert kept.shape == (60,)
    assert found["value"] == run.verdict(CLAIM)["value"] == pytest.approx(kept.mean())
    assert 0.1 < kept.min() < kept.max() < 1


def test_junit_has_its_properties(run):
    outcome, properties = run.junit[TEST]
    verdict = run.verdict(CLAIM)
    assert outcome == ("passed" if verdict["verdict"] == "holds" else "skipped")
    wanted = {"question": "q7", "claim": CLAIM, "metric": METRIC, "comparison": ">", "threshold": "0.12"}
    assert wanted.items() <= properties.items()
    assert float(properties["value"]) == pytest.approx(verdict["value"])
    assert properties["verdict"] == verdict["verdict"]


def test_the_terminal_has_its_row(run):
    rows = [line for line in run.text.splitlines() if line.startswith("q7")]
    assert len(rows) == 1
    value, (low, high) = run.verdict(CLAIM)["value"], run.verdict(CLAIM)["ci95"]
    shown = re.search(r"([\d.]+) +\[([\d.]+), ([\d.]+)\]", rows[0]).groups()
    assert list(map(float, shown)) == pytest.approx([value, low, high], abs=(high - low) / 100)
    for part in (TITLE, "> 0.12", "60"):
        assert part in rows[0]


def test_the_terminal_has_its_table(run):
    """In a run with ``-v``, which this one is."""
    table = run.text.partition("Numbers of question 7")[2].splitlines()[1:3]
    assert table[0].split()[:2] == ["figure", "value"]
    assert table[1].startswith("worst tenth")


def test_the_twins_are_measured_and_paired(run):
    controls = run.subject["measurements"]["controls"]
    assert [twin[CLAIM]["n"] for twin in controls["twins"]] == [60, 60, 60]
    attribution = run.verdict(CLAIM)["attribution"]
    assert "paired over images" in attribution["difference"]["method"]


def test_the_record_meets_the_schema(run):
    schema = json.loads((resources.files("geolip_theorems") / "results.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(run.results.read_text()))


def test_the_report_has_its_section_figure_and_table(run):
    html = (run.folder / "report" / "report.html").read_text(encoding="utf-8")
    section = re.search(r'<section id="q7".*?</section>', html, re.S).group(0)
    for part in ("Does the error gather in few patches?", "Where the error gathers", "Numbers of question 7"):
        assert part in section
    assert 'aria-label="Share of the error in the worst patches"' in section
    assert f"{run.verdict(CLAIM)['value']:.4g}" in section
    assert f'data-claim="{CLAIM}"' in html
    assert "Cannot draw" not in html
    assert re.search(r'href="#q7"', html), "it can be reached from the page's head"


def test_markdown_has_its_row(run):
    rows = [line for line in summary(json.loads(run.results.read_text())).splitlines() if "| q7 |" in line]
    assert len(rows) == 1
    assert TITLE in rows[0]


def test_the_baseline_has_a_test_of_its_verdict_and_one_of_its_metric(run, later):
    assert "baseline main: " in run.text
    outcome, properties = later.junit[f"test_metric_is_no_worse[{METRIC}-bright-scenes]"]
    assert outcome == "failure"
    assert (properties["outcome"], properties["paired"], properties["question"]) == ("worse", "True", "q7")
    then, now = (found.verdict(CLAIM)["value"] for found in (run, later))
    assert float(properties["difference"]) == pytest.approx(now - then)
    assert f"test_verdict_is_no_worse[{CLAIM}-bright-scenes]" in later.junit
    assert later.code == pytest.ExitCode.TESTS_FAILED


def test_two_runs_are_compared_in_it(run, later, own_registry):
    without = compare_runs([run.results, later.results])[0]
    assert METRIC not in {metric.metric for metric in without.metrics}, "the control: nobody registered it"
    runpy.run_path(str(FILE))
    (comparison,) = compare_runs([run.results, later.results])
    (found,) = (metric for metric in comparison.metrics if metric.metric == METRIC)
    first, second = (
        companion.of_subject(side.subject, side.results.parent)["per_image/worst_tenth"]
        for side in (run, later)
    )
    assert found.paired
    assert (found.outcome, found.units) == ("worse", 60)
    difference = second - first
    assert found.difference == pytest.approx(difference.mean())
    half = np.std(difference, ddof=1) / np.sqrt(60) * 2.001
    assert found.ci95 == pytest.approx([difference.mean() - half, difference.mean() + half], rel=1e-3)
    assert CLAIM in {flip.claim for flip in comparison.verdicts}


def test_a_report_made_where_nobody_registered_it_has_its_card_and_no_section(run, tmp_path):
    """The registry is the one difference: what is in the record is shown all the same."""
    assert "q7" not in {question.id for question in questions()}
    assert CLAIM not in {claim.name for claim in claims()}
    html = write_report(run.results, tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'data-claim="{CLAIM}"' in html
    assert '<section id="q7"' not in html
