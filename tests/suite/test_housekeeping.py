"""What a run does not do: read images for a listing, leave folders behind, pass off nothing as success."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from geolip_theorems.io import temporary
from geolip_theorems.plugin import subjects

from .conftest import GOLDEN, ROOT, SMALL, THEOREM


@pytest.fixture
def damaged(tmp_path):
    """A folder of two classes, one image of which is none."""
    rng = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / "images" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / f"{number}.png")
    broken = tmp_path / "images" / "a" / "6.png"
    broken.write_bytes(b"no image at all")
    return tmp_path / "images"


def test_a_listing_reads_no_image_and_a_run_reads_all_before_its_first_test(run_suite, damaged):
    subject = ("--model", GOLDEN, "--dataset", damaged, "--image-size", "16", "--offline")
    assert run_suite(*subject, "--collect-only").result.ret == pytest.ExitCode.OK
    assert run_suite(*subject, "-k", "nothing_at_all").result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    run = run_suite(*subject)
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: image images/a/6.png cannot be read" in run.text
    assert "passed" not in run.text


def test_benchmarks_open_no_images(run_suite):
    options = ("--benchmark-only", "--collect-only", "--dataset", "gone.npz", "--model", GOLDEN, "--offline")
    run = run_suite(*options, paths=(THEOREM.parent / "benchmarks" / "test_pipeline_speed.py",))
    assert run.result.ret == pytest.ExitCode.OK, run.text
    both = run_suite(*options, paths=(THEOREM, THEOREM.parent / "benchmarks" / "test_pipeline_speed.py"))
    assert both.result.ret == pytest.ExitCode.OK, both.text


def test_a_run_that_decides_nothing_says_so(run_suite, npz):
    unlabelled = ("--model", GOLDEN, "--dataset", npz(labels=None), *SMALL)
    strict = run_suite(*unlabelled, "-k", "q2", "--strict-verdicts")
    assert "WARNING: no verdict was reached: none of the 1 claims could be decided" in strict.text
    assert strict.result.ret == pytest.ExitCode.TESTS_FAILED
    some = run_suite(*unlabelled, "-k", "q1 or q2", "--strict-verdicts")
    assert some.verdicts()["spatial_cv"]["verdict"] in ("holds", "fails")
    assert some.result.ret == pytest.ExitCode.TESTS_FAILED, "labels were lost, and strict is strict"
    lenient = run_suite(*unlabelled, "-k", "q2")
    assert lenient.result.ret == pytest.ExitCode.OK
    assert "no verdict was reached" not in some.text


def start(tmp_path: Path) -> tuple[subprocess.Popen, Path]:
    """A run in a process of its own, stopped by hand, and its temporary folder."""
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(THEOREM), "--model", str(GOLDEN)]
    words += [
        "--dataset",
        "scenes",
        "--max-images",
        "2000",
        "--no-cache",
        "--report-dir",
        str(tmp_path / "r"),
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    (tmp_path / "tmp").mkdir(exist_ok=True)
    process = subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    for _ in range(600):
        found = list((tmp_path / "tmp").glob(f"{temporary.PREFIX}*/cache/*/*"))
        if found:
            return process, next((tmp_path / "tmp").glob(f"{temporary.PREFIX}*"))
        time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[0])


def test_a_terminated_run_cleans_up(tmp_path):
    process, folder = start(tmp_path)
    process.send_signal(signal.SIGTERM)
    text = process.communicate(timeout=60)[0]
    assert process.returncode == 143, text
    assert not folder.exists()
    assert "Exit: terminated" in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_it_as_sigterm_does(number, monkeypatch):
    cleanups = []
    before = signal.signal(number, signal.SIG_DFL)
    try:
        subjects._end_orderly_when_terminated(SimpleNamespace(add_cleanup=cleanups.append))
        with pytest.raises(pytest.exit.Exception) as caught:
            os.kill(os.getpid(), number)
        assert caught.value.returncode == 128 + number
        assert signal.getsignal(number) is signal.SIG_DFL, "a second one ends it at once"
        signal.signal(number, signal.SIG_IGN)  # as under nohup
        subjects._end_orderly_when_terminated(SimpleNamespace(add_cleanup=cleanups.append))
        assert signal.getsignal(number) is signal.SIG_IGN
        cleanups[0]()
    finally:
        signal.signal(number, before)


SLOW_TORCH = """
import pathlib, time
pathlib.Path(__file__).with_name("loading").touch()
time.sleep(60)
"""
# A shell that starts its jobs in the background has them ignore Ctrl-C, and children inherit that.
PYTEST = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("pytest", run_name="__main__", alter_sys=True)
"""


def test_interrupted_while_modules_load(tmp_path):
    (tmp_path / "torch.py").write_text(SLOW_TORCH)
    ours = {"PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | ours
    command = [sys.executable, "-c", PYTEST, str(THEOREM), "-p", "no:cacheprovider"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for _ in range(600):
            if (tmp_path / "loading").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        text = process.communicate(timeout=60)[0]
    assert process.returncode == pytest.ExitCode.INTERRUPTED
    assert "interrupted before the first test: nothing was measured or written" in text
    assert "KeyboardInterrupt" not in text
    assert len(text.splitlines()) <= 2, text


def test_a_killed_runs_folder_goes_at_the_next_start(tmp_path, monkeypatch):
    process, folder = start(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    later = time.time() + 2 * temporary.YOUNG_S
    assert temporary.remove_stale(later) == []  # held by a living process
    process.kill()
    process.communicate(timeout=60)
    assert folder.exists()
    assert temporary.remove_stale() == []  # too young to be sure
    assert temporary.remove_stale(later) == [folder]
    assert not folder.exists()


def test_other_folders_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "geolip-theorems-notes").mkdir()
    (tmp_path / "geolip-theorems-link").symlink_to(tmp_path / "geolip-theorems-notes")
    with temporary.temporary_folder() as mine:
        assert temporary.remove_stale(time.time() + 1e6) == []
        assert mine.exists()
    assert not mine.exists()
    assert (tmp_path / "geolip-theorems-notes").exists()
