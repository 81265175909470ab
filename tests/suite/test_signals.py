"""The suite on models whose signals are missing: what cannot be measured is skipped with its reason."""

import pytest

from geolip_theorems.model.sources import LoadedModel, weights_sha256
from tests.signals import ConvAutoencoder, MatrixOfPixels
from tests.suite.conftest import ROOT, THEOREM

ON_SUBJECT = sorted((ROOT / "theorems").glob("*/test_*_on_subject.py"))
NO_SVD = "the model's output has no svd, so it has no modes"
TOO_MANY = "the model has 24 modes; the conduit takes 2 to 16"
CASES = {
    "conv": (ConvAutoencoder, {"q3": NO_SVD, "q4": NO_SVD, "q5": NO_SVD}, NO_SVD),
    "d24": (lambda: MatrixOfPixels(24), {"q4": TOO_MANY, "q5": TOO_MANY}, TOO_MANY),
    "d4": (lambda: MatrixOfPixels(4), {}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_suite_runs_on_it(run_suite, monkeypatch, tmp_path, name):
    build, not_measured, no_grams = CASES[name]

    def opened(source, **options):
        model = build().to(options["device"])
        return LoadedModel(model, source, "a test", weights_sha256(model), "tests", {}, "none")

    monkeypatch.setattr("geolip_theorems.run.subject.open_model", opened)
    monkeypatch.setattr("geolip_theorems.plugin.options.check_model", lambda name: None)
    images = ("--dataset", "scenes", "--image-size", "16", "--max-images", "60", "--ablation-images", "8")
    run = run_suite(
        "--model",
        name,
        *images,
        "--offline",
        "-rs",
        paths=(THEOREM, *ON_SUBJECT),
        cache=tmp_path,
        report=True,
    )
    reasons = {v["question"]: v["reason"] for v in run.verdicts().values() if v["verdict"] == "not measured"}
    assert set(reasons) == set(not_measured)
    assert all(reason.endswith(not_measured[question]) for question, reason in reasons.items())
    skips = [line for line in run.text.splitlines() if line.startswith("SKIPPED")]
    grams = [line for line in skips if "_on_subject" in line or "plugin/analyses" in line]
    assert bool(grams) == bool(no_grams)
    assert all(f"not measured: {no_grams}" in line for line in grams)
    (note,) = run.results["subjects"][0]["notes"] or [None]
    assert (note is None) == (not not_measured)
    page = (run.folder / "reports/latest/report.html").read_text(encoding="utf-8")
    assert "Cannot draw" not in page
    assert run.result.parseoutcomes().get("errors", 0) == 0
