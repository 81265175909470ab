"""The suite on models whose signals are missing: what cannot be measured is skipped with its reason."""

import pytest

from tests.signals import ConvAutoencoder, MatrixOfPixels
from tests.suite.conftest import ROOT, THEOREM

ON_SUBJECT = sorted((ROOT / "theorems").glob("*/test_*_on_subject.py"))
NO_SVD = "the model's output has no svd, so it has no modes"
TOO_MANY = "the model has 24 modes; the conduit takes 2 to 16"
CASES = {
    ConvAutoencoder.__name__: ({"q3": NO_SVD, "q4": NO_SVD, "q5": NO_SVD}, NO_SVD),
    "with_24_modes": ({"q4": TOO_MANY, "q5": TOO_MANY}, TOO_MANY),
    "with_4_modes": ({}, None),
}


def with_24_modes():
    return MatrixOfPixels(24)


def with_4_modes():
    return MatrixOfPixels(4)


@pytest.mark.parametrize("name", CASES)
def test_the_suite_runs_on_it(run_suite, tmp_path, name):
    not_measured, no_grams = CASES[name]
    images = ("--dataset", "scenes", "--image-size", "16", "--max-images", "60", "--ablation-images", "8")
    run = run_suite(
        "--model",
        f"{__name__}:{name}",
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
