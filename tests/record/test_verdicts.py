"""Claims, expectations, verdicts, the record and what a test makes of a verdict."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from _pytest.outcomes import Failed, Skipped

from geolip_theorems.drawing.text import VerdictRow, describe_verdict
from geolip_theorems.io.errors import InputError
from geolip_theorems.plugin import verdicts as plugin
from geolip_theorems.plugin.verdicts import ClaimDoesNotHoldError, settle
from geolip_theorems.questions import Study, claims
from geolip_theorems.questions.base import look_up
from geolip_theorems.report.markdown import summary
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, SubjectRecord, now, read_results, write_results
from geolip_theorems.run.settings import Expectation, load_claims, load_expectations
from geolip_theorems.run.verdicts import verdict_on

CLAIMS = {claim.name: claim for claim in claims()}
CV, COSINE = CLAIMS["spatial_cv"], CLAIMS["class_cosine"]
SCRIPT = {"spatial_cv": {"mean": 0.4}, "class_cosine": {"min": 0.9}, "probes": None}


def verdict(claim=CV, labelled=True, expectation=None, groups=None, kept=None, **figure):
    tree = {"value": 0.3, "ci95": [0.2, 0.4], "n": 50, "method": "t", "p": 0.001, **figure}
    for key in reversed(claim.metric.name.split(".")):
        tree = {key: tree}
    labels = np.zeros(50, int) if labelled else None
    study = Study(SimpleNamespace(error=np.ones((50, 2, 2)), labels=labels, groups=groups))
    measurements = {"calibrated": tree, "script": SCRIPT}
    return verdict_on(claim, measurements, study, kept or {}, expectation=expectation)


@pytest.mark.parametrize(
    ("ci95", "wanted"),
    [
        ([0.2, 0.4], "holds"),
        ([0.05, 0.4], "inconclusive"),
        ([0.01, 0.09], "fails"),
        ([0.1, 0.4], "inconclusive"),
    ],
)
def test_the_interval_decides(ci95, wanted):
    found = verdict(ci95=ci95)
    assert found.verdict == wanted
    assert found.script_value == 0.4


@pytest.mark.parametrize(
    ("p", "labelled", "wanted"),
    [(0.001, True, "holds"), (0.2, True, "inconclusive"), (None, True, "inconclusive")],
)
def test_a_claim_with_a_null_needs_its_p(p, labelled, wanted):
    assert verdict(COSINE, labelled, ci95=[0.9, 0.95], value=0.92, p=p).verdict == wanted
    assert verdict(CV, labelled, p=p).verdict == wanted


def test_what_was_not_measured_says_why():
    found = verdict(COSINE, labelled=False, value=None, ci95=None)
    assert (found.verdict, found.value) == ("not measured", None)
    assert "no labels" in found.reason
    assert "separable" in verdict(value=None, ci95=None, method="the decoder is not separable").reason


def test_a_figure_without_an_interval_gives_its_method_as_the_reason():
    few = "no interval from 5 groups of images, fewer than 6"
    found = verdict(ci95=None, method=few)
    assert (found.verdict, found.reason, found.value, found.n_to_decide) == ("inconclusive", few, 0.3, None)
    assert "undefined" in verdict(ci95=None, method="").reason
    assert verdict(method=few).reason != few, "an interval is its own reason"


def test_groups_are_counted_among_the_images_that_have_a_part_in_the_figure():
    groups = np.arange(50) // 5
    open_ = {"value": 0.3, "ci95": [0.04, 0.56], "groups": groups}
    of_all = verdict(**open_)
    assert "groups of images (" in of_all.reason
    mode_share = CLAIMS["mode_share"]
    few = verdict(mode_share, kept={"ablated": np.arange(12)}, **open_ | {"n": 12})
    many = verdict(mode_share, kept={"ablated": np.arange(0, 50, 4)}, **open_ | {"n": 12})
    assert few.n_to_decide != many.n_to_decide  # 3 groups, and 10
    assert "groups" not in verdict(**open_ | {"groups": None}).reason


def test_a_claim_is_neither_true_nor_false_and_says_what_it_claims():
    with pytest.raises(TypeError, match=r"spatial_cv\.corrected > 0\.1 is a claim"):
        bool(CV)
    assert str(CV.metric > 0.25) == (CV.metric > 0.25).name == "spatial_cv.corrected > 0.25"
    assert (CV.metric < 0.25).comparison == "<"
    assert (CV.metric > 0.1).same_as(CV)
    assert not (CV.metric > 0.2).same_as(CV)
    assert not (CV.metric < 0.1).same_as(CV)
    for wrong in ("0.1", None, float("nan"), float("inf"), True):
        with pytest.raises(InputError, match="expected a number"):
            _ = CV.metric > wrong


def test_every_question_has_a_claim_and_every_claim_a_name():
    assert {verdict(claim).question for claim in claims()} == {f"q{number}" for number in range(1, 7)}
    assert len(CLAIMS) == len(claims()) == 8
    assert (CV.threshold, CV.comparison) == (0.1, ">")
    assert (COSINE.threshold, COSINE.comparison) == (0.99, "<")


def test_thresholds_are_replaced_by_name(tmp_path):
    (tmp_path / "t.toml").write_text("[thresholds]\nspatial_cv = 0.5\n")
    changed = {claim.name: claim.threshold for claim in load_claims(tmp_path / "t.toml")}
    known = claims(on_request=True)
    assert changed == {**{claim.name: claim.threshold for claim in known}, "spatial_cv": 0.5}
    assert load_claims(None) == known


ENTRY = """[[expected]]
model = "m"
dataset = "d"
images = 9
claim = "gradient"
verdict = "fails"
reason = "r"
"""


def test_expectations_are_read(tmp_path):
    (tmp_path / "e.toml").write_text(ENTRY)
    assert load_expectations(tmp_path / "e.toml") == (Expectation("m", "d", 9, "gradient", "fails", "r"),)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ENTRY + ENTRY, "two entries for 'm', 'd', 9, 'gradient'"),
        (ENTRY.replace("gradient", "gradiant"), "did you mean 'gradient'"),
        (ENTRY.replace('"fails"', '"holds"'), "unknown verdict"),
        (ENTRY + "surprise = 1\n", "expected the entries"),
        (ENTRY.replace("= 9", "= '9'"), "images a number"),
        ("[other]\n", "may only hold"),
    ],
)
def test_wrong_expectations_are_named(tmp_path, text, says):
    (tmp_path / "e.toml").write_text(text)
    with pytest.raises(InputError, match=says):
        load_expectations(tmp_path / "e.toml")


def outcome(found, strict=False):
    """What a test with this verdict does: (kind, message or None)."""
    markers = []
    request = SimpleNamespace(config=None, applymarker=markers.append)
    original = plugin.option
    plugin.option = lambda config, flag: strict
    try:
        settle(found, "the message", request)
    except ClaimDoesNotHoldError as error:
        return "expected failure", str(error), markers
    except pytest.xfail.Exception as error:
        return "unchecked", error.msg, markers
    except Failed as error:
        return "failed", error.msg, markers
    except Skipped as error:
        return "skipped", error.msg, markers
    finally:
        plugin.option = original
    return "passed", None, markers


def test_only_a_verdict_that_holds_passes():
    assert outcome(verdict())[0] == "passed"
    assert outcome(verdict(ci95=[0.01, 0.02]))[:2] == ("failed", "the message")
    assert outcome(verdict(ci95=[0.05, 0.4]))[0] == "skipped"
    assert outcome(verdict(ci95=[0.05, 0.4]), strict=True)[0] == "failed"
    absent = verdict(value=None, ci95=None)
    assert outcome(absent)[0] == "skipped"
    assert outcome(absent, strict=True)[:2] == ("failed", "the message")


def test_a_skip_names_its_claim():
    _, message, _ = outcome(verdict(ci95=[0.05, 0.4]))
    assert message.startswith("q1: error varies over patches: inconclusive: the interval contains")


def test_an_expected_verdict_is_an_expected_failure_and_nothing_else_is():
    expected = Expectation("m", "d", 50, "spatial_cv", "fails", "known")
    as_expected = verdict(ci95=[0.01, 0.02], expectation=expected)
    kind, message, markers = outcome(as_expected)
    assert (kind, message) == ("expected failure", "the message")
    assert markers[0].kwargs["strict"] is True
    assert outcome(verdict(ci95=[0.05, 0.4], expectation=expected))[0] == "failed"
    kind, _, markers = outcome(verdict(expectation=expected))
    assert kind == "passed"
    assert markers, "without the strict marker a claim that holds after all would pass unseen"


def test_on_other_images_an_expectation_is_said_to_be_unchecked():
    elsewhere = Expectation("m", "d", 9, "spatial_cv", "fails", "known")
    failing = verdict(ci95=[0.01, 0.02], expectation=elsewhere)
    assert failing.expected is None
    assert "expected 'fails' on 9 images (known); unchecked on 50" in failing.unchecked
    kind, message, _ = outcome(failing)
    assert kind == "unchecked"
    assert "unchecked on 50" in message
    assert outcome(verdict(expectation=elsewhere))[0] == "passed"
    assert outcome(verdict(ci95=[0.01, 0.02]))[0] == "failed", "the control: nothing is expected"


def test_junit_properties_leave_nothing_out():
    properties = VerdictRow(vars(verdict(COSINE, ci95=[0.9, 0.95], value=0.92, p=0.001))).properties()
    assert properties["ci95_low"] == 0.9
    assert properties["ci95_high"] == 0.95
    assert properties["verdict"] == "holds"
    assert {"theorem", "question", "metric", "value", "threshold", "comparison", "n", "p"} <= set(properties)


def test_a_description_has_all_of_it():
    text = describe_verdict(vars(verdict(ci95=[0.01, 0.02])))
    for part in ("q1", "FAILS", "0.3", "[0.0100, 0.0200]", "> 0.1", "n = 50"):
        assert part in text


def record():
    found = verdict()
    model = {"name": "m", "source": "", "sha256": "0" * 64, "implementation": "builtin", "config": {}}
    dataset = {"name": "d", "source": "", "sha256": "1" * 64, "preprocessing": "", "n_images": 5}
    dataset |= {"classes": None, "image_size": [8, 8], "substitute_for": "cifar10: absent"}
    subject = SubjectRecord("m-d", model | {"substitute_for": None}, dataset, 0, "cpu", [found])
    subject.protocol = {"extraction": 1, "measures": 1, "probe": "ridge", "ablation_images": None}
    subject.protocol |= {"controls": 0, "control_images": 0}
    return Results([subject], ["pytest"], environment(), now())


def test_results_are_read_as_they_were_written(tmp_path):
    results = record()
    results.subjects[0].measurements = {"calibrated": {"x": [float("nan"), (1, 2)]}}
    write_results(results, tmp_path / "results.json")
    content = read_results(tmp_path / "results.json")
    assert content["subjects"][0]["measurements"] == {"calibrated": {"x": [None, [1, 2]]}}
    assert content["subjects"][0]["verdicts"][0]["value"] == 0.3
    assert content["version"] == 3


def test_names_that_are_no_text_are_written_so_that_they_can_be_read(tmp_path):
    results = record()
    results.subjects[0].dataset["classes"] = ["caf\udce9", "猫", "😀"]
    results.subjects[0].measurements = {"calibrated": {"caf\udce9": None}}
    write_results(results, tmp_path / "results.json")
    (subject,) = read_results(tmp_path / "results.json")["subjects"]
    assert subject["dataset"]["classes"] == ["caf�", "猫", "😀"]
    assert subject["measurements"]["calibrated"] == {"caf�": None}
    (tmp_path / "results.json").write_text(json.dumps(results.to_dict()).replace("caf", "\\udce9"))
    with pytest.raises(InputError, match="is not JSON"):
        read_results(tmp_path / "results.json")


@pytest.mark.parametrize(
    ("change", "says"),
    [({"format": "other"}, "not a results file"), ({"version": 99}, "of version 99")],
)
def test_foreign_records_are_refused(tmp_path, change, says):
    (tmp_path / "r.json").write_text(json.dumps({**record().to_dict(), **change}))
    with pytest.raises(InputError, match=says):
        read_results(tmp_path / "r.json")


def test_damaged_records_are_refused(tmp_path):
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_results(tmp_path / "r.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_results(tmp_path / "gone.json")


def test_the_markdown_summary_has_a_row_a_verdict():
    results = record()
    results.subjects[0].verdicts.append(replace(verdict(ci95=[0.01, 0.02]), expected="fails"))
    text = summary(results.to_dict())
    assert text.count("| q1 |") == 2
    assert "❌ fails (expected)" in text
    assert "Stands in for cifar10: absent" in text


def test_look_up():
    assert look_up({"a": {"b": 1}}, "a.b") == 1
    assert look_up({"a": None}, "a.b") is None
