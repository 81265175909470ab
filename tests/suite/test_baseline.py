"""``--baseline`` and ``--save-baseline`` on the suite's real command line."""

import json
import shlex
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest
import torch

from geolip_theorems.compare.sides import open_run
from geolip_theorems.report.html import write
from geolip_theorems.results import companion
from geolip_theorems.results.record import write_results

from .conftest import GOLDEN, SMALL, THEOREM

DATA = ("--dataset", "scenes")
MODEL = ("--model", str(GOLDEN), *DATA)
CLAIMS, METRICS = 8, 10
SCHEMA = Path(companion.__file__).with_name("results.schema.json")


@pytest.fixture
def noisy(tmp_path):
    """The golden model with noise in its weights."""
    content = torch.load(GOLDEN, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for weights in content["model_state_dict"].values():
        if weights.is_floating_point() and weights.numel() > 1:
            weights += 0.5 * weights.std() * torch.randn(weights.shape, generator=generator)
    torch.save(content, tmp_path / "noisy.pt")
    return tmp_path / "noisy.pt"


def cases(run):
    """JUnit's test cases of the baseline: name -> (outcome, properties)."""
    found = {}
    for case in ElementTree.parse(run.folder / "junit.xml").iter("testcase"):
        if "test_baseline" in case.get("classname"):
            outcome = next((c.tag for c in case if c.tag in ("failure", "skipped", "error")), "passed")
            properties = {p.get("name"): p.get("value") for p in case.iter("property")}
            found[case.get("name")] = (outcome, properties)
    return found


def valid(run):
    jsonschema.Draft202012Validator(json.loads(SCHEMA.read_bytes())).validate(run.results)
    return run


def test_a_run_against_itself_passes_every_test(run_suite):
    saved = valid(run_suite(*MODEL, *SMALL, "--save-baseline", "main"))
    place = saved.folder / "reports/baselines/main"
    assert {path.name for path in place.iterdir()} == {"results.json", "svae_d4-scenes.maps.npz"}
    assert "baseline main: reports/baselines/main" in saved.text
    assert cases(saved) == {}, "without --baseline there is nothing to compare with"
    again = valid(run_suite(*MODEL, *SMALL, "--baseline", "main"))
    found = cases(again)
    assert len(found) == CLAIMS + METRICS
    assert {outcome for outcome, _ in found.values()} == {"passed"}
    metrics = {name: p for name, (_, p) in found.items() if name.startswith("test_metric")}
    assert {float(p["difference"]) for p in metrics.values()} == {0.0}
    assert {p["paired"] for p in metrics.values()} == {"True"}
    assert "nothing regressed" in again.text


def test_a_worse_model_fails_named_tests_and_says_how_to_repeat_them(run_suite, noisy):
    run_suite(*MODEL, *SMALL, "--save-baseline", "main")
    options = ("--model", noisy, *DATA, *SMALL, "--baseline", "main", "--save-baseline", "other")
    run = valid(run_suite(*options, "-n", "2", subprocess=True))
    found = cases(run)
    outcome, properties = found["test_metric_is_no_worse[error-noisy-scenes]"]
    assert outcome == "failure"
    assert properties["outcome"] == "worse"
    assert float(properties["joint95_low"]) > float(properties["smallest_change"])
    assert float(properties["value"]) > float(properties["baseline_value"])
    passed = [name for name, (outcome, _) in found.items() if outcome == "passed"]
    assert passed, "only what got worse fails"
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "release error (error): WORSE" in run.text
    assert "was not saved: it is worse than the baseline" in run.text
    (comparison,) = run.results["comparisons"]
    assert comparison["kind"] == "baseline"
    line = next(line for line in run.text.splitlines() if line.strip().startswith("reproduce: "))
    words = shlex.split(line.split("reproduce: ")[1])
    again = run_suite(*words[2:], paths=words[1:2])
    assert cases(again)["test_metric_is_no_worse[error-noisy-scenes]"][0] == "failure"


def test_one_question_brings_the_comparison_along(run_suite):
    run_suite(*MODEL, *SMALL, "--save-baseline", "main")
    run = run_suite(*MODEL, *SMALL, "--baseline", "main", paths=(THEOREM / "test_q1_spatial_structure.py",))
    assert len(cases(run)) == CLAIMS + METRICS


def edit(folder, change):
    path = folder / "reports/baselines/main/results.json"
    content = json.loads(path.read_text())
    change(content["subjects"][0])
    path.write_text(json.dumps(content))


def test_a_worse_verdict_is_a_failure_of_its_own(run_suite):
    saved = run_suite(*MODEL, *SMALL, "--save-baseline", "main")

    def held(subject):
        next(v for v in subject["verdicts"] if v["claim"] == "class_cosine")["verdict"] = "holds"

    edit(saved.folder, held)
    found = cases(run_suite(*MODEL, *SMALL, "--baseline", "main", "--fail-on", "flip"))
    failed = [name for name, (outcome, _) in found.items() if outcome == "failure"]
    assert failed == ["test_verdict_is_no_worse[class_cosine-svae_d4-scenes]"]
    assert found[failed[0]][1]["baseline_verdict"] == "holds"


def usage_error(run):
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR, run.text
    lines = [line for line in run.result.stderr.lines if line.startswith("ERROR: ")]
    assert len(lines) == 1
    assert "Traceback" not in run.text
    return lines[0]


def test_other_data_or_options_are_refused_before_anything_is_measured(run_suite, tmp_path):
    saved = run_suite(*MODEL, *SMALL, "--save-baseline", "main")
    before = (saved.folder / "reports/latest/results.json").read_bytes()
    (tmp_path / "t.toml").write_text("[thresholds]\nspatial_cv = 0.2\n")
    for options, says in (
        (("--seed", "3"), "seed: 0 then, 3 now"),
        (("--probe", "conv"), "protocol.probe: ridge then, conv now"),
        (("--thresholds", tmp_path / "t.toml"), "threshold.spatial_cv: 0.1 then, 0.2 now"),
        (("--normalize", "imagenet"), "dataset.preprocessing: "),
    ):
        message = usage_error(run_suite(*MODEL, *SMALL, "--baseline", "main", *options))
        assert message.startswith("ERROR: --baseline: ")
        assert says in message
    fewer = ("--max-images", "50", "--ablation-images", "20", "--offline")
    message = usage_error(run_suite(*MODEL, *fewer, "--baseline", "main"))
    assert "dataset.n_images: 60 then, 50 now" in message
    assert "did you mean 'main'" in usage_error(run_suite(*MODEL, *SMALL, "--baseline", "mian"))
    assert "cannot be used" in usage_error(run_suite(*MODEL, *SMALL, "--save-baseline", "../main"))
    assert (saved.folder / "reports/latest/results.json").read_bytes() == before


def test_without_companions_differences_are_unpaired_and_it_is_said(run_suite):
    saved = run_suite(*MODEL, *SMALL, "--save-baseline", "main")
    (saved.folder / "reports/baselines/main/svae_d4-scenes.maps.npz").unlink()
    run = valid(run_suite(*MODEL, *SMALL, "--baseline", "main"))
    metrics = {name: p for name, (_, p) in cases(run).items() if name.startswith("test_metric")}
    assert {p["paired"] for p in metrics.values()} == {"False"}
    assert "its differences are not paired" in run.text
    assert run.result.ret == pytest.ExitCode.OK


def test_two_models_are_compared_with_each_other(run_suite, noisy):
    run = valid(run_suite(*MODEL, "--model", noisy, *SMALL, report=True))
    (comparison,) = run.results["comparisons"]
    assert comparison["kind"] == "models"
    assert (comparison["reference"]["id"], comparison["candidate"]["id"]) == (
        "svae_d4-scenes",
        "noisy-scenes",
    )
    outcome = {metric["metric"]: metric["outcome"] for metric in comparison["metrics"]}
    assert outcome["error"] == "worse"
    assert "against the first model: noisy-scenes beside svae_d4-scenes" in run.text
    tests = {name: outcome for name, (outcome, _) in cases(run).items() if "no_worse" in name}
    assert all("noisy-scenes" in name for name in tests), "the first model is compared with nothing"
    (name,) = (name for name in tests if "test_metric" in name and "[error-" in name)
    assert tests[name] == "failure"
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert f"--model {GOLDEN} --model {noisy}" in run.text, "the reproduce line has both"
    calm = run_suite(*MODEL, "--model", noisy, *SMALL, "--fail-on", "never")
    assert not any(found == "failure" for name, (found, _) in cases(calm).items() if "no_worse" in name)
    page = (run.folder / "reports/latest/report.html").read_text()
    assert "noisy-scenes beside svae_d4-scenes" in page


def test_the_companion_is_beside_the_record_and_stale_ones_go(run_suite):
    run = valid(run_suite(*MODEL, *SMALL))
    folder = run.folder / "reports/latest"
    (subject,) = run.results["subjects"]
    assert subject["companion"] == companion.describe(folder / "svae_d4-scenes.maps.npz")
    arrays = companion.of_subject(subject, folder)
    assert arrays["per_image/error"].shape == (60,)
    hits = arrays["per_image/hits/release"]
    figure = subject["measurements"]["calibrated"]["probes"]["release"]
    assert np.isclose(hits.mean(), figure["value"])
    run = run_suite("--model", f"random:{GOLDEN}", *DATA, *SMALL)
    assert [path.name for path in Path(folder).glob("*.npz")] == ["random-svae_d4-scenes.maps.npz"]


def test_a_companion_that_cannot_be_removed_blocks_nothing(run_suite):
    folder = run_suite(*MODEL, *SMALL, "-k", "q1").folder / "reports/latest"
    (folder / "svae_d4-scenes.maps.npz").unlink()
    (folder / "svae_d4-scenes.maps.npz").mkdir()
    run = run_suite("--model", f"random:{GOLDEN}", *DATA, *SMALL, "-k", "q1")
    assert run.results["subjects"][0]["companion"]["file"] == "random-svae_d4-scenes.maps.npz"
    assert "WARNING" not in run.text


def test_a_report_folder_that_takes_nothing_any_more_loses_no_results(run_suite, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(
        "geolip_theorems.plugin.results.write_results", spoil("reports/latest", write_results)
    )
    run = run_suite(*MODEL, *SMALL, "-k", "q1")
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "WARNING: OSError: [Errno 28] No space left on device; the results are elsewhere" in run.text
    place = Path(next(x for x in run.text.splitlines() if x.startswith("results: ")).partition(" ")[2])
    assert tmp_path in place.parents
    (side,) = open_run(place)
    assert side.arrays is not None


def spoil(folder, function):
    """The function, which finds no room in one folder."""

    def spoilt(results, place):
        if str(place.parent) == folder:
            raise OSError(28, "No space left on device")
        return function(results, place)

    return spoilt


@pytest.mark.parametrize("error", [RuntimeError("no fonts\nat all"), KeyboardInterrupt()])
def test_a_report_that_cannot_be_made_loses_no_results(run_suite, monkeypatch, error):

    def broken(*_):
        raise error

    monkeypatch.setattr(write, "write_report", broken)
    run = run_suite(*MODEL, *SMALL, "-k", "q1", report=True)
    assert run.verdicts()["spatial_cv"]["verdict"]
    assert run.result.ret == pytest.ExitCode.OK
    assert len(run.junit) == 1
    lines = run.text.splitlines()
    results = Path("reports/latest/results.json")
    assert f"results: {results}" in lines
    kind = type(error).__name__ + (": no fonts at all" if error.args else "")
    warning = f"WARNING: no report was made ({kind}); geolip-theorems report {results} tries again"
    assert warning in lines


def test_a_comparison_that_cannot_be_made_loses_no_results(run_suite, monkeypatch):
    from geolip_theorems.plugin import results

    def broken(*_):
        raise ValueError("shapes differ")

    monkeypatch.setattr(results, "compared_models", broken)
    run = run_suite(*MODEL, *SMALL, "-k", "q1", "--save-baseline", "kept")
    assert run.verdicts()["spatial_cv"]["verdict"]
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "WARNING: baseline 'kept' was not saved: a comparison is missing" in run.text.splitlines()
    warning = "WARNING: no comparison with the first model was made (ValueError: shapes differ)"
    assert warning in run.text.splitlines()
    assert run.results["comparisons"] == []


def test_tables_that_cannot_be_shown_hide_no_path(run_suite, monkeypatch):
    from geolip_theorems.plugin import results

    def broken(*_, **__):
        raise KeyError("measures")

    monkeypatch.setattr(results, "render", broken)
    run = run_suite(*MODEL, *SMALL, "-k", "q1")
    assert run.result.ret == pytest.ExitCode.OK
    assert "WARNING: the tables cannot be shown (KeyError: 'measures')" in run.text
    assert "results: reports/latest/results.json" in run.text


def test_nothing_selected_leaves_the_results(run_suite):
    run = run_suite(*MODEL, *SMALL, "-k", "q1")
    before = run.results
    again = run_suite(*MODEL, *SMALL, "-k", "nothing_at_all")
    assert again.result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert again.results == before
