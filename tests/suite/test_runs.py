"""Whole runs of the suite on a small model: results, JUnit, the terminal, several models and processes."""

import os
import shlex
import shutil
import subprocess

import numpy as np
import pytest

from .conftest import GOLDEN, SMALL

MODEL = ("--model", str(GOLDEN), "--dataset", "scenes")
CLASSES = {"disc", "ring", "square", "triangle", "star", "cross", "crescent", "heart", "arrow", "bowtie"}
SCRIPT_KEYS = {
    "counts": {"images", "maps", "mode_images"},
    "spatial_cv": {"mean", "median", "min", "max"},
    "class_error": CLASSES,
    "class_cosine": {"mean", "min"},
    "regions": CLASSES,
    "mode_energy": CLASSES,
    "full_mse": CLASSES,
    "probes": {
        "release",
        "eigenvalues",
        "friction",
        "release+eigenvalues",
        "release+friction",
        "release+eigenvalues+friction",
    },
    "top_positions": CLASSES,
    "overall": {"mean", "std", "hot_patches"},
}
CLAIMS = [
    "spatial_cv",
    "class_cosine",
    "mode_share",
    "release_chance",
    "release_picture",
    "release_friction",
    "all_eigenvalues",
    "gradient",
]


def outcome_counts(run):
    counts = run.result.parseoutcomes()
    return {
        key: counts.get(key, 0) for key in ("passed", "failed", "skipped", "xfailed", "errors", "warnings")
    }


def test_a_run_leaves_a_full_record(run_suite):
    run = run_suite(*MODEL, *SMALL, controls=2)
    counts = outcome_counts(run)
    assert sum(counts.values()) == 8
    assert counts["errors"] == counts["warnings"] == 0
    (subject,) = run.results["subjects"]
    assert subject["id"] == "svae_d4-scenes"
    assert set(subject["model"]) >= {"name", "source", "sha256", "implementation", "config"}
    assert set(subject["dataset"]) >= {"name", "source", "sha256", "n_images", "classes", "image_size"}
    assert subject["dataset"]["n_images"] == 60
    assert (subject["seed"], subject["device"]) == (0, "cpu")
    script = subject["measurements"]["script"]
    assert {key: set(value) for key, value in script.items()} == SCRIPT_KEYS
    assert [verdict["claim"] for verdict in subject["verdicts"]] == CLAIMS
    assert [verdict["question"] for verdict in subject["verdicts"]] == [
        "q1",
        "q2",
        "q3",
        "q4",
        "q4",
        "q4",
        "q5",
        "q6",
    ]
    for verdict in subject["verdicts"]:
        assert verdict["verdict"] in ("holds", "fails", "inconclusive")
        assert verdict["ci95"][0] <= verdict["value"] <= verdict["ci95"][1]
        assert verdict["attributed"] in (True, False, None)
        assert verdict["attribution"]["reason"]
    assert subject["timings"]["extraction_s"] > 0
    assert run.results["environment"]["packages"]["torch"]
    for written in ("reports/latest/results.json", "junit.xml"):
        text = (run.folder / written).read_text()
        assert str(run.folder) not in text
        assert str(GOLDEN.parent) not in text


def test_the_second_run_reads_the_cache_and_says_the_same(run_suite, tmp_path):
    first = run_suite(*MODEL, *SMALL, cache=tmp_path / "cache").results["subjects"][0]
    second = run_suite(*MODEL, *SMALL, cache=tmp_path / "cache").results["subjects"][0]
    assert (first.pop("timings")["from_cache"], second.pop("timings")["from_cache"]) == (False, True)
    assert first == second


def test_two_models_parametrise_every_question(run_suite):
    run = run_suite(*MODEL, "--model", f"random:{GOLDEN}", *SMALL)
    first, second = run.results["subjects"]
    assert [first["id"], second["id"]] == ["svae_d4-scenes", "random-svae_d4-scenes"]
    assert first["model"]["sha256"] != second["model"]["sha256"]
    values = [[v["value"] for v in subject["verdicts"]] for subject in (first, second)]
    different = [a != b for a, b in zip(*values, strict=True)]
    assert sum(different) >= 5, "one model's figures under another's name"
    tests = {name: found for name, found in run.junit.items() if "no_worse" not in name}
    assert len(tests) == 16
    name = "test_error_varies_over_patches[spatial_cv.corrected > 0.1-random-svae_d4-scenes]"
    assert tests[name]["subject"] == "random-svae_d4-scenes"


def test_workers_agree_with_one_process(run_suite):
    alone = run_suite(*MODEL, *SMALL)
    together = run_suite(*MODEL, *SMALL, "-n", "2", "--no-cache", subprocess=True)
    assert outcome_counts(together) == outcome_counts(alone)
    assert together.verdicts() == alone.verdicts()
    for name, properties in together.junit.items():
        assert properties["model"] == "svae_d4", name
        assert properties["dataset"] == "scenes"
        assert properties["device"] == "cpu"
        assert properties["verdict"] in ("holds", "fails", "inconclusive")
        assert float(properties["ci95_low"]) <= float(properties["value"]) <= float(properties["ci95_high"])


def test_images_without_labels_answer_three_questions(run_suite, npz):
    run = run_suite("--model", GOLDEN, "--dataset", npz(labels=None), *SMALL)
    verdicts = run.verdicts()
    for claim in ("class_cosine", "release_chance", "release_picture", "release_friction", "all_eigenvalues"):
        assert verdicts[claim]["verdict"] == "not measured"
        assert "no labels" in verdicts[claim]["reason"]
    for claim in ("spatial_cv", "mode_share", "gradient"):
        assert verdicts[claim]["verdict"] in ("holds", "fails", "inconclusive")
    assert outcome_counts(run)["skipped"] >= 4
    assert "give a labelled data set" in run.text


def thresholds(tmp_path, **values):
    path = tmp_path / "thresholds.toml"
    path.write_text("[thresholds]\n" + "".join(f"{name} = {value}\n" for name, value in values.items()))
    return path


def test_ids_show_the_claim_with_the_runs_threshold(run_suite, tmp_path):
    ids = set(run_suite(*MODEL, *SMALL, "--collect-only", "-q").text.splitlines())
    own = {line.partition("[")[2] for line in ids if "test_q" in line}
    assert own == {
        "spatial_cv.corrected > 0.1-svae_d4-scenes]",
        "class_cosine.min < 0.99-svae_d4-scenes]",
        "modes.share > 0.05-svae_d4-scenes]",
        "lifts.balanced-chance > 0-svae_d4-scenes]",
        "lifts.release-patch_means > 0-svae_d4-scenes]",
        "lifts.release-friction > 0-svae_d4-scenes]",
        "lifts.all-eigenvalues > 0-svae_d4-scenes]",
        "boundaries.gradient > 0.1-svae_d4-scenes]",
    }
    file = thresholds(tmp_path, gradient=0.25)
    other = run_suite(*MODEL, *SMALL, "--thresholds", file, "--collect-only", "-q", "-k", "q6").text
    assert "[boundaries.gradient > 0.25-svae_d4-scenes]" in other


def test_a_test_that_wants_a_verdict_and_claims_nothing_is_refused(run_suite, tmp_path):
    (tmp_path / "test_bare.py").write_text("def test_bare(verdict):\n    verdict.check()\n")
    run = run_suite(*MODEL, *SMALL, paths=(tmp_path / "test_bare.py",))
    assert run.result.ret == pytest.ExitCode.INTERRUPTED
    assert "asks for a verdict without @claim(metric > number)" in run.text


def test_a_failing_claim_says_everything_and_how_to_repeat_it(run_suite, pytester):
    file = thresholds(pytester.mkdir("mine"), spatial_cv=9.0)
    run = run_suite(*MODEL, *SMALL, "--thresholds", file, "-k", "q1")
    verdict = run.verdicts()["spatial_cv"]
    assert verdict["verdict"] == "fails"
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    assert outcome_counts(run)["failed"] == 1
    low, high = verdict["ci95"]
    for part in ("FAILS", f"{verdict['value']:.4g}", f"[{low:.4g}, {high:.4g}]", "> 9", "n = 60"):
        assert part in run.text
    line = next(line for line in run.text.splitlines() if line.strip().startswith("reproduce: "))
    words = shlex.split(line.split("reproduce: ")[1])
    assert words[0] == "pytest"
    assert "--cache-dir" in words
    given = run.results["command"]
    assert given[given.index("--thresholds") + 1] == "mine/thresholds.toml", "relative to this folder"
    assert given[given.index("--model") + 1] == GOLDEN.name, "elsewhere"
    assert words[1].endswith("::test_error_varies_over_patches")
    again = run_suite(*words[2:], paths=words[1:2])
    assert outcome_counts(again)["failed"] == 1
    assert again.verdicts() == run.verdicts()


def test_names_that_attack_are_names(run_suite, npz, tmp_path):
    """Control characters, orders to a CI runner and rich's markup in names of files and classes."""
    model = tmp_path / "::error::a ##[b] [red] :skull: \x1b[31m$(x)\udcff.pt"
    shutil.copy(GOLDEN, model)
    images = npz(name="::c\u202e.npz", classes=np.array(["[/d]\x1b[31m", "::e::" + "f" * 200, "g"]))
    subject = ("--model", model, "--dataset", images, "--ablation-images", "8")
    run = run_suite(*subject, "-v", "--thresholds", thresholds(tmp_path, spatial_cv=9.0), "--color", "no")
    lines = [line for line in run.text.splitlines() if "junit" not in line]
    assert all(line.isprintable() for line in lines), ascii([x for x in lines if not x.isprintable()])
    assert not [line for line in lines if line.strip().startswith("::") or "##[" in line]
    assert "cannot be shown" not in run.text
    line = next(line for line in lines if "reproduce: " in line)
    bash = ["bash", "-c", "printf '%s\\0' " + line.split("reproduce: ")[1]]
    words = subprocess.run(bash, stdout=subprocess.PIPE, check=True).stdout.split(b"\0")
    assert words[words.index(b"--model") + 1] == os.fsencode(model)
    assert words[words.index(b"--dataset") + 1] == os.fsencode(images)


def test_an_open_verdict_is_a_skip_or_a_failure(run_suite, tmp_path):
    value = run_suite(*MODEL, *SMALL).verdicts()["gradient"]["value"]
    file = thresholds(tmp_path, gradient=value)
    lenient = run_suite(*MODEL, *SMALL, "--thresholds", file, "-k", "q6")
    assert outcome_counts(lenient)["skipped"] == 1
    assert "inconclusive" in lenient.text
    strict = run_suite(*MODEL, *SMALL, "--thresholds", file, "-k", "q6", "--strict-verdicts")
    assert outcome_counts(strict)["failed"] == 1


EXPECTED = """
[[expected]]
model = "svae_d4"
dataset = "scenes"
images = 60
claim = "spatial_cv"
verdict = "{verdict}"
reason = "an example of a finding"
"""


@pytest.mark.parametrize(
    ("threshold", "expected", "outcome"),
    [(9.0, "fails", "xfailed"), (9.0, "inconclusive", "failed"), (0.0, "fails", "failed")],
    ids=["as expected", "another verdict", "holds after all"],
)
def test_expected_findings_stay_visible_and_only_they_pass(run_suite, tmp_path, threshold, expected, outcome):
    (tmp_path / "expected.toml").write_text(EXPECTED.format(verdict=expected))
    file = thresholds(tmp_path, spatial_cv=threshold)
    options = ("--thresholds", file, "--expectations", tmp_path / "expected.toml", "-k", "q1")
    run = run_suite(*MODEL, *SMALL, *options)
    assert outcome_counts(run)[outcome] == 1
    assert "an example of a finding" in run.text
    assert run.verdicts()["spatial_cv"]["expected"] == expected


def test_what_stands_in_for_what_is_said_everywhere(run_suite):
    run = run_suite(*SMALL, "-k", "q1")
    (subject,) = run.results["subjects"]
    assert subject["id"] == "freckles_embedded-digits"
    assert subject["model"]["substitute_for"].startswith("v40_freckles_noise: ")
    assert subject["dataset"]["substitute_for"].startswith("cifar10: ")
    assert run.text.count("SUBSTITUTE for") == 4  # header and summary, model and images
    (properties,) = run.junit.values()
    assert properties["model_substitutes"].startswith("v40_freckles_noise")
    assert properties["dataset_substitutes"].startswith("cifar10")


def test_the_record_is_written_when_the_model_is_unusable(run_suite, tmp_path):
    import torch

    content = torch.load(GOLDEN, weights_only=True)
    content["model_state_dict"]["dec_out.weight"] *= 1e38
    content["model_state_dict"]["dec_out.bias"] += 3e38
    torch.save(content, tmp_path / "overflow.pt")
    run = run_suite("--model", tmp_path / "overflow.pt", "--dataset", "scenes", *SMALL)
    (subject,) = run.results["subjects"]
    assert "not finite" in subject["error"]
    assert subject["verdicts"] == []
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
