"""Whole benchmark runs of two versions: a slowed model fails by name in JUnit, an equal one passes."""

import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from geolip_theorems.model import sources
from geolip_theorems.run import subject

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "svae_d4.pt"
FILE = ROOT / "theorems" / "benchmarks" / "test_pipeline_speed.py"
PART = ("-k", "test_model and (encode or decode)", "--image-size", "16", "--offline")
LIMIT = ("--benchmark-compare-fail", "median:300%")
SLEEP_S = 0.15  # some fifty times a round, and so far beyond the limit as no busy machine is


@dataclass
class Run:
    """A finished run and the failures of its JUnit file, by the test's name."""

    result: pytest.RunResult
    folder: Path

    @property
    def text(self) -> str:
        return self.result.stdout.str() + "\n" + self.result.stderr.str()

    @property
    def failures(self) -> dict[str, str]:
        cases = ElementTree.parse(self.folder / "junit.xml").iter("testcase")
        return {c.get("name"): f.get("message") for c in cases for f in c.iter("failure")}

    @property
    def properties(self) -> dict[str, dict[str, str]]:
        cases = ElementTree.parse(self.folder / "junit.xml").iter("testcase")
        return {c.get("name"): {p.get("name"): p.get("value") for p in c.iter("property")} for c in cases}


@pytest.fixture
def bench(pytester: pytest.Pytester):
    """A function that runs the benchmarks of encode and decode with options."""

    def run(*options, part=PART) -> Run:
        words = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider", FILE]
        words += ["--benchmark-only", "--junitxml", pytester.path / "junit.xml", *part, *options]
        return Run(pytester.runpytest_inprocess(*map(str, words)), pytester.path)

    return run


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for each other on a busy machine take a hundred times as long as one alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def copies(tmp_path):
    """The golden model under two names: ``same`` and ``slow``."""
    for name in ("same", "slow"):
        shutil.copy(GOLDEN, tmp_path / f"{name}.pt")
    return {name: str(tmp_path / f"{name}.pt") for name in ("same", "slow")}


@pytest.fixture(autouse=True)
def slow_is_slow(monkeypatch):
    """A model named ``slow`` sleeps in its encoder, and so in its forward pass."""
    real = sources.open_model

    def opened(source, **keywords):
        loaded = real(source, **keywords)
        if loaded.name == "slow":
            encode = loaded.model.encode

            def sleeping(images):
                time.sleep(SLEEP_S)
                return encode(images)

            loaded.model.encode = sleeping
        return loaded

    monkeypatch.setattr(sources, "open_model", opened)


def test_two_models_in_turn_and_the_slow_one_fails_by_name(bench, copies):
    run = bench("--model", GOLDEN, "--model", copies["slow"], *LIMIT)
    assert list(run.failures) == ["test_model[encode]"], run.text
    assert run.result.ret == pytest.ExitCode.TESTS_FAILED
    message = run.failures["test_model[encode]"]
    assert "REGRESSED beyond median:300%" in message
    assert "pairs of rounds" in message
    assert "old_model: svae_d4" in run.text
    figures = {
        k: float(v) for k, v in run.properties["test_model[encode]"].items() if k.startswith("median_")
    }
    assert figures["median_low"] > 4
    assert figures["median_new"] - figures["median_old"] > 0.8 * SLEEP_S


@pytest.mark.parametrize("attempt", range(3))
def test_a_model_against_itself_passes(bench, copies, attempt):
    run = bench("--model", GOLDEN, "--model", copies["same"], *LIMIT)
    assert run.result.ret == pytest.ExitCode.OK, run.text
    assert run.text.count("pairs of rounds") == 2
    assert all("median_ratio" in p for p in run.properties.values())


def test_a_saved_run_is_found_by_name_and_compared_though_the_model_differs(bench, copies):
    saved = bench("--model", GOLDEN, "--benchmark-save", "a")
    assert saved.result.ret == pytest.ExitCode.OK, saved.text
    (file,) = saved.folder.glob(".benchmarks/*/0001_a.json")
    content = json.loads(file.read_text())
    assert {b["extra_info"]["model"].split()[0] for b in content["benchmarks"]} == {"svae_d4"}
    assert not any("svae" in b["fullname"] for b in content["benchmarks"])

    slow = bench("--model", copies["slow"], "--benchmark-compare", "a", *LIMIT)
    assert list(slow.failures) == ["test_model[encode]"], slow.text
    assert slow.result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in slow.text
    assert "old_model: svae_d4" in slow.text

    content["machine_info"] |= {"torch": "1.0", "torch_threads": 77}
    file.write_text(json.dumps(content))
    refused = bench("--model", copies["same"], "--benchmark-compare", "a", *LIMIT)
    assert refused.result.ret == pytest.ExitCode.USAGE_ERROR
    assert "torch: '1.0' then" in refused.text
    assert "threads of torch: 77 then" in refused.text
    told = bench("--model", copies["same"], "--benchmark-compare", "a", *LIMIT, "--bench-any-machine")
    assert told.result.ret == pytest.ExitCode.OK, told.text
    assert "note: not the same machine: torch: '1.0' then" in told.text

    for benchmark in content["benchmarks"]:
        benchmark["extra_info"]["workload"]["image_size"] = 64
    file.write_text(json.dumps(content))
    other = bench("--model", copies["same"], "--benchmark-compare", "a", *LIMIT, "--bench-any-machine")
    assert len(other.failures) == 2
    assert "another workload" in other.failures["test_model[decode]"]

    for benchmark in content["benchmarks"]:
        del benchmark["stats"]["data"]
    file.write_text(json.dumps(content))
    bare = bench("--model", copies["same"], "--benchmark-compare", "a", "--bench-any-machine")
    assert bare.result.ret == pytest.ExitCode.USAGE_ERROR
    assert "hold no rounds" in bare.text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (LIMIT, "--benchmark-compare-fail has nothing to compare with"),
        (("--benchmark-compare", "mian"), "no benchmarks saved as 'mian'; nothing is saved"),
        (("--model", "v40_freckels"), "unknown model 'v40_freckels'; did you mean 'v40_freckles_noise'"),
        (("--model", "a.pt", "--model", "b.pt"), "benchmarks compare two models; got 3"),
        (("--image-size", "18"), "images of 18 pixels do not fit the patch size 4"),
    ],
)
def test_mistakes_are_one_line(bench, options, says):
    run = bench("--model", GOLDEN, *options)
    assert run.result.ret == pytest.ExitCode.USAGE_ERROR, run.text
    errors = [line for line in run.text.splitlines() if line.startswith("ERROR: ")]
    assert len(errors) == 1
    assert says in errors[0]


def test_what_does_not_depend_on_the_model_is_left_out_for_two(bench, copies):
    words = ("--collect-only", "--model", GOLDEN, "--model", copies["same"])
    run = bench(FILE.with_name("test_conduit_speed.py"), *words, part=("--offline",))
    assert "test_model[encode]" in run.text
    assert "test_size" not in run.text


def test_models_of_unequal_channels_are_not_compared(bench, monkeypatch):
    channels = iter((1, 3))
    monkeypatch.setattr(subject, "model_channels", lambda model: next(channels))
    result = bench("--model", GOLDEN, "--model", GOLDEN).result
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "images of 1 and of 3 channels; benchmarks compare two" in result.stderr.str()
