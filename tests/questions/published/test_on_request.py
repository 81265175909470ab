"""The published claims are measured where one is asked for, and change nothing where none is."""

import json
from dataclasses import asdict, replace
from importlib import resources

import jsonschema
import numpy as np
import pytest
import torch

from geolip_theorems import measure
from geolip_theorems.drawing.shown import Shown
from geolip_theorems.model.architectures import PatchSVAE
from geolip_theorems.questions import claims, metrics, question_of, questions, requested
from geolip_theorems.questions.published import (
    PUBLISHED_QUESTIONS,
    axes_deviation,
    band_distance,
    evidence,
    rank_distance,
)
from geolip_theorems.report.html.write import render
from geolip_theorems.report.markdown import summary
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, finite, now
from geolip_theorems.run.settings import load_expectations
from tests.suite.conftest import ROOT

ASKED = tuple(claim for question in PUBLISHED_QUESTIONS for claim in question.claims)


def untrained(**more):
    """Of large patches, so that large images have few."""
    torch.manual_seed(3)
    return PatchSVAE(V=32, D=4, patch_size=16, hidden=32, depth=1, n_cross_layers=1, **more).eval()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (24, 32, 32, 3), np.uint8)


@pytest.fixture
def few_twins(monkeypatch):
    monkeypatch.setattr(evidence, "TWINS", 3)


@pytest.fixture(scope="module")
def record(images):
    """A small untrained network under every published claim."""
    return measure(untrained(), images, np.arange(24) % 2, ablation_images=0, claims=ASKED)


def test_they_are_no_part_of_an_ordinary_run(images):
    assert not {claim.name for claim in claims()} & {claim.name for claim in ASKED}
    assert {claim.name for claim in claims(on_request=True)} == {c.name for c in (*claims(), *ASKED)}
    assert not {name for _, m in metrics() for name in [m.name] if name.startswith("published")}
    assert all(question.key == () for question in questions() if not question.on_request)
    found = measure(untrained(), images, ablation_images=0)
    assert not [key for key in found.measurements["calibrated"] if key.startswith("published")]


def test_they_are_known_by_their_metric():
    assert question_of(band_distance).id == "band"
    assert requested(ASKED) == {question.id for question in PUBLISHED_QUESTIONS}
    assert requested(claims()) == set()


def test_only_what_is_asked_for_is_measured(images, few_twins):
    found = measure(untrained(), images, ablation_images=0, claims=[band_distance < 1])
    keys = [key for key in found.measurements["calibrated"] if key.startswith("published")]
    assert keys == ["published_band"]


def test_every_claim_has_a_verdict_and_a_reading(record):
    found = {verdict.claim: verdict for verdict in record.verdicts}
    assert set(found) == {claim.name for claim in ASKED}
    band = found["band_free"]
    assert band.verdict == "holds"
    assert "equal to random rows (" in band.reading
    assert "untrained networks (" in band.reading
    assert all(verdict.reading for verdict in record.verdicts)
    assert found["friction_uniform"].verdict in ("holds", "inconclusive")
    assert found["gate_moved"].verdict == "fails", "an untrained gate is at its initial value"
    assert all(verdict.attribution is None and not verdict.references for verdict in record.verdicts)
    assert all(verdict.p_claim is None for verdict in record.verdicts), "they widen no family of tests"
    assert {(verdict.theorem, verdict.heading) for verdict in record.verdicts} == {(None, "Published claims")}


def test_a_network_without_training_has_learned_nothing(record):
    """Its twins are its like, so what is apart from random rows is the architecture's."""
    kinds = {}
    for question in PUBLISHED_QUESTIONS:
        key = f"published_{question.id.replace('-', '_')}"
        kinds |= dict(_classes(record.measurements["calibrated"][key], key))
    assert "learned" not in kinds.values(), kinds
    assert list(kinds.values()).count("free") >= 8
    by_size = record.measurements["calibrated"]["published_resolution"]["by_size"]
    assert all("untrained networks" in by_size[size]["references"] for size in ("32", "128", "256"))
    gate = record.measurements["calibrated"]["published_coordination"]["gate"]
    assert (gate["class"], gate["value"]) == ("free", 0.0)


def _classes(tree, path):
    for name, value in tree.items():
        if isinstance(value, dict) and "class" in value:
            yield f"{path}.{name}", value["class"]
        elif isinstance(value, dict):
            yield from _classes(value, f"{path}.{name}")


def test_the_record_is_valid_and_its_tables_show_each_reading(record):
    run = Results([record], ["pytest"], environment(), now()).to_dict()
    schema = json.loads((resources.files("geolip_theorems.results") / "results.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(finite(run))
    shown = Shown(1, finite(asdict(record)))
    tables = {q.id: [build(shown) for build in q.tables()] for q in PUBLISHED_QUESTIONS}
    assert all(made is not None for builders in tables.values() for made in builders)
    (band,) = tables["band"]
    assert [row[1].text for row in band.rows] == ["images", "noise"]
    assert "equal to random rows" in band.caption
    assert summary(finite(run)).startswith("## Published claims\n")
    other = replace(record, verdicts=[replace(record.verdicts[0], heading="")])
    run["subjects"].append(finite(asdict(other)))
    assert summary(finite(run)).startswith("## Published claims · Theorem 3, release fidelity\n")


def test_the_report_has_a_section_where_one_was_asked_for(record, tmp_path):
    def page(verdicts):
        run = Results([replace(record, verdicts=verdicts)], ["pytest"], environment(), now())
        return render(finite(run.to_dict()), tmp_path)

    bands = [verdict for verdict in record.verdicts if verdict.claim == "band_free"]
    asked = page(bands)
    assert 'id="band"' in asked
    assert '<p class="eyebrow">geolip-theorems · Published claims</p>' in asked
    assert 'id="spectrum"' not in asked
    assert 'id="band"' not in page([])


def test_rows_off_the_sphere_have_no_free_value(images, few_twins):
    claims = [band_distance < 1, axes_deviation < 0.05]
    found = measure(untrained(row_norm="none"), images, ablation_images=0, claims=claims)
    assert [verdict.verdict for verdict in found.verdicts] == ["not measured", "holds"]
    assert "not of length 1" in found.verdicts[0].reason
    axes = found.measurements["calibrated"]["published_codebook"]["images"]["axes"]
    assert list(axes["references"]) == ["untrained networks"]


def test_a_published_version_is_held_against_what_was_published_of_it(images, few_twins):
    found = measure(untrained(), images, name="v40_freckles_noise", ablation_images=0, claims=ASKED)
    calibrated = finite(found.measurements["calibrated"])
    ratio = calibrated["published_spectrum"]["images"]["ratio"]
    assert ratio["contradicted"]
    assert ratio["references"]["the published value"]["value"] == 2.32
    assert "apart from the published value (2.32): free" in ratio["reading"]
    error = calibrated["published_unseen_noise"]["error"]["references"]["the published value"]
    assert (error["value"], error["margin"]) == pytest.approx((5e-6, 5e-7))
    json.dumps(found.measurements["calibrated"], allow_nan=False)


def test_an_expectation_may_name_one(tmp_path):
    path = tmp_path / "expected.toml"
    entry = {
        "model": "m",
        "dataset": "d",
        "images": 3,
        "claim": "rank_free",
        "verdict": "fails",
        "reason": "r",
    }
    path.write_text(
        "[[expected]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in entry.items())
    )
    assert load_expectations(path)[0].claim == "rank_free"


def test_each_claim_has_its_test_and_its_place_in_the_docs():
    """The margin in the test is the one in the question, or the claim would be another one."""
    modules = "".join(p.read_text() for p in sorted((ROOT / "theorems/published_claims").glob("test_*.py")))
    docs = (ROOT / "docs" / "published_claims.md").read_text()
    names = {id(metric): name for name, metric in vars(_module()).items()}
    for claim in ASKED:
        assert f"@claim({names[id(claim.metric)]} {claim.condition})" in modules, claim.name
        assert f"`{claim.name}`" in docs, claim.name


def _module():
    from geolip_theorems.questions import published

    return published


def test_rows_that_fail_are_seen(images, few_twins):
    """Negative control: one direction added to every row of M is no band of random rows."""
    model = untrained()
    lean = model.enc_out.bias.reshape(model.config.V, model.config.D)
    lean.data[:, 0] += 2.0
    found = measure(model, images, ablation_images=0, claims=[band_distance < 1, rank_distance < 1])
    assert [verdict.verdict for verdict in found.verdicts] == ["fails", "fails"]
    cv = found.measurements["calibrated"]["published_band"]["images"]["cv"]
    assert cv["class"] == "learned"
