"""A claim of one's own on a metric that there is: a test of three lines, and an argument in a notebook."""

import json
from importlib import resources

import jsonschema
import numpy as np
import pytest

from geolip_theorems import load_model, measure, metrics
from geolip_theorems.questions import claims

from .conftest import GOLDEN, HERE

FILE = HERE / "own_claim.py"
TEST = "test_it_loses_next_to_nothing[error < 0.0001-svae_d4-scenes]"


@pytest.fixture(scope="module")
def run(suite, tmp_path_factory):
    return suite(FILE, "--controls", 0, "--no-report", folder=tmp_path_factory.mktemp("own"))


def test_it_is_three_lines():
    code = [line for line in FILE.read_text().splitlines() if line and not line.startswith("from")]
    assert len(code) == 3


def test_a_claim_of_ones_own_is_judged_and_said(run):
    (verdict,) = run.subject["verdicts"]
    assert verdict["claim"] == "error < 0.0001"
    assert (verdict["metric"], verdict["comparison"], verdict["threshold"]) == ("error", "<", 1e-4)
    assert verdict["verdict"] == "fails", "random weights lose more"
    assert verdict["ci95"][0] > 1e-4
    outcome, properties = run.junit[TEST]
    assert outcome == "failure"
    assert properties["value"] == str(verdict["value"])
    assert f"own_claim.py::{TEST} FAILED" in run.text
    assert run.code == pytest.ExitCode.TESTS_FAILED
    schema = json.loads((resources.files("geolip_theorems.results") / "results.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(json.loads(run.results.read_text()))


def test_the_same_claim_in_a_notebook():
    model, _ = load_model(str(GOLDEN))
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)
    record = measure(model, images, ablation_images=0, claims=[metrics.error < 1e-4, metrics.error < 1e4])
    assert [(v.claim, v.verdict) for v in record.verdicts] == [
        ("error < 0.0001", "fails"),
        ("error < 10000", "holds"),
    ]
    assert len(measure(model, images, ablation_images=0).verdicts) == len(claims()) == 8
