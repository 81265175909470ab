"""Every mistake on the command line is one clear line, before anything runs or is written."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from .conftest import GOLDEN, ROOT, SMALL, THEOREM

DIGITS = ("--dataset", "digits")
MODEL = ("--model", str(GOLDEN))


def usage_error(run) -> str:
    """The one line of a usage error."""
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR, run.text
    lines = [line for line in run.text.splitlines() if line.startswith("ERROR: ")]
    assert len(lines) == 1
    assert "Traceback" not in run.text
    assert not (run.folder / "reports/latest/results.json").exists()
    return lines[0]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--model", "v40_freckels"), "unknown model 'v40_freckels'; did you mean 'v40_freckles_noise'"),
        (("--model", "gone.pt"), "'gone.pt' does not exist"),
        (("--model", "v40_freckles_noise"), "not in the hub's cache, and the network is switched off"),
        (("--model", ""), "--model is empty; give a name or a path, see: geolip-theorems models"),
        (("--model", "random:"), "--model is empty"),
        ((*MODEL, "--dataset", ""), "--dataset is empty"),
        ((*MODEL, "--ray-address", "host:1"), "--ray-address is for --engine ray"),
        (("--model", str(GOLDEN.parent)), "not a file but a folder"),
        ((*MODEL, "--baseline", "gud"), "unknown baseline 'gud'"),
        (("--model", "random:nothing"), "unknown model 'nothing'"),
        ((*MODEL, "--implementation", "original"), "unknown implementation 'original'"),
        ((*MODEL, "--implementation", "geolip"), "needs the geolip-svae package"),
        ((*MODEL, "--dataset", "digit"), "unknown dataset 'digit'; did you mean 'digits'"),
        ((*MODEL, "--dataset", "cifar10"), "cifar10"),
        ((*MODEL, "--image-size", "30"), "30x30 is not a multiple of the model's patch size 4"),
        ((*MODEL, "--device", "cuda:9"), "device 'cuda:9' is not there"),
        ((*MODEL, "--device", "tpu"), "device 'tpu' is not known"),
        ((*MODEL, "--normalize", "imagnet"), "normalize is 'imagnet'"),
        ((*MODEL, "--thresholds", "gone.toml"), "thresholds file 'gone.toml' cannot be read"),
        ((*MODEL, "--max-images", "12"), "has 1 of the 12 images"),
        ((*MODEL, *MODEL, "--model", f"{GOLDEN.parent}/./{GOLDEN.name}"), "was given twice"),
    ],
    ids=lambda value: "-".join(value[-2:]) if isinstance(value, tuple) else "",
)
def test_options(run_suite, options, says):
    chosen = options if "--dataset" in options else (*options, *DIGITS)
    sized = chosen if "--max-images" in chosen else (*chosen, *SMALL)
    assert says in usage_error(run_suite(*sized, "--offline"))


def test_names_are_looked_up_before_torch_is_loaded():
    for flag, name, says in (
        ("--model", "v40_freckels", "did you mean 'v40_freckles_noise'"),
        ("--dataset", "digit", "did you mean 'digits'"),
        ("--modle", "a.pt", "--modle: did you mean '--model'"),
    ):
        program = "import sys, pytest; pytest.main(sys.argv[1:]); sys.exit('torch' in sys.modules)"
        words = [sys.executable, "-c", program, str(THEOREM), flag, name]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert says in done.stderr
        assert done.returncode == 0, flag


@pytest.mark.parametrize(
    "option",
    [
        ("--max-images", "0"),
        ("--seed", "-1"),
        ("--seed", "99999999999999999999"),
        ("--ablation-images", "few"),
        ("--cache-limit", "nan"),
        ("--cache-limit", "-1"),
    ],
)
def test_numbers(run_suite, option):
    run = run_suite(*MODEL, *DIGITS, *option)
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR
    assert f"argument {option[0]}" in run.text


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": None}, "images"),
        ({"images": np.zeros((4, 16, 16), np.uint8)}, "(4, 16, 16)"),
        ({"images": np.zeros((4, 16, 16, 3), np.float32)}, "float32"),
        ({"labels": np.zeros(24, np.int64)}, "one class"),
        ({"labels": np.arange(24)}, "at least 2 of each class"),
        ({"labels": np.zeros(5, np.int64)}, "labels"),
        ({"surprise": np.zeros(3)}, "surprise"),
    ],
    ids=[
        "no images",
        "no channels",
        "float images",
        "one class",
        "one image per class",
        "few labels",
        "unknown key",
    ],
)
def test_image_files(run_suite, npz, changes, says):
    assert says in usage_error(run_suite(*MODEL, "--dataset", npz(**changes)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "[thresholds]\nspatial = 1",
            "unknown claim in the thresholds file 'spatial'; did you mean 'spatial_cv'",
        ),
        ("[thresholds]\nspatial_cv = 'high'", "threshold of 'spatial_cv' is 'high'"),
        ("[thresholds]\nspatial_cv = nan", "expected a number, finite"),
        ("spatial_cv = 1", "needs one table, [thresholds]"),
        ("[thresholds", "is not TOML"),
    ],
)
def test_thresholds(run_suite, tmp_path, text, says):
    (tmp_path / "t.toml").write_text(text)
    assert says in usage_error(run_suite(*MODEL, *DIGITS, "--thresholds", tmp_path / "t.toml"))


def test_expectations(run_suite, tmp_path):
    (tmp_path / "e.toml").write_text('[[expected]]\nmodel = "m"\n')
    message = usage_error(run_suite(*MODEL, *DIGITS, "--expectations", tmp_path / "e.toml"))
    assert "entry 1: expected the entries model, dataset, images, claim, verdict, reason" in message


def test_a_hostile_checkpoint_is_not_run(run_suite, tmp_path):
    class Bomb:
        def __reduce__(self):
            return open, (str(tmp_path / "ran"), "w")

    content = torch.load(GOLDEN, weights_only=True)
    torch.save({**content, "extra": Bomb()}, tmp_path / "hostile.pt")
    assert "reading it would run code" in usage_error(run_suite("--model", tmp_path / "hostile.pt", *DIGITS))
    assert not (tmp_path / "ran").exists()


def test_an_unwritable_report_folder(run_suite, tmp_path):
    (tmp_path / "file").write_text("")
    run = run_suite(*MODEL, *DIGITS, *SMALL, "--report-dir", tmp_path / "file" / "reports")
    assert "cannot be written" in usage_error(run)


def test_a_report_folder_that_leads_nowhere(run_suite, tmp_path):
    (tmp_path / "link").symlink_to("gone")
    for folder in (tmp_path / "link", tmp_path / "link" / "reports"):
        message = usage_error(run_suite(*MODEL, *DIGITS, *SMALL, "--report-dir", folder))
        assert f"report folder {str(folder)!r} cannot be written" in message


@pytest.mark.parametrize("name", ["results.json", "svae_d4-digits.maps.npz"])
def test_a_folder_in_the_place_of_a_file_is_found_before_anything_is_measured(run_suite, tmp_path, name):
    (tmp_path / "reports" / name).mkdir(parents=True)
    run = run_suite(*MODEL, *DIGITS, *SMALL, "--report-dir", tmp_path / "reports")
    assert f"has a folder in the place of the file {name!r}" in usage_error(run)


def test_a_folder_of_baselines_that_cannot_be_written(run_suite, pytester):
    (pytester.path / "reports").mkdir()
    (pytester.path / "reports" / "baselines").write_text("")
    run = run_suite(*MODEL, *DIGITS, *SMALL, "--save-baseline", "main")
    assert "baseline folder 'reports/baselines' cannot be written (File exists)" in usage_error(run)


def test_an_unwritable_cache_folder(run_suite, tmp_path):
    (tmp_path / "file").write_text("")
    run = run_suite(*MODEL, *DIGITS, *SMALL, cache=tmp_path / "file")
    assert "cannot be written (File exists); give another --cache-dir" in usage_error(run)


def test_a_text_file_is_no_model(run_suite, tmp_path):
    (tmp_path / "notes.txt").write_text("hello")
    message = usage_error(run_suite("--model", tmp_path / "notes.txt", *DIGITS, *SMALL))
    assert "'notes.txt' is truncated, damaged or no checkpoint" in message


def test_mistakes_with_workers_are_one_line_too(run_suite):
    run = run_suite("--model", "v40_freckels", *DIGITS, "--offline", "-n", "2", subprocess=True)
    assert "did you mean 'v40_freckles_noise'" in usage_error(run)
