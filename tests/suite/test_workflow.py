"""The workflow for GitHub: everything it calls is there, and its comparison with main ends as it should."""

import os
import re
import shlex
import subprocess

import pytest

from geolip_theorems.cli import build_parser

from .conftest import ROOT

yaml = pytest.importorskip("yaml")

FILE = ROOT / ".github" / "workflows" / "theorems.yml"
WORKFLOW = yaml.safe_load(FILE.read_text())
STEPS = [step for job in WORKFLOW["jobs"].values() for step in job["steps"]]
PROGRAMS = ("make", "pytest", "geolip-theorems")


def commands() -> list[list[str]]:
    """Every call of one of our programs, as words."""
    found = []
    for script in (step["run"] for step in STEPS if "run" in step):
        for line in script.replace("\\\n", " ").splitlines():
            call = re.sub(r"\s*(>>?|2>|\|\||;).*", "", line)
            words = shlex.split(call, comments=True)
            if words and os.path.basename(words[0]) in PROGRAMS:
                found.append([os.path.basename(words[0]), *words[1:]])
    return found


def test_there_are_the_jobs_and_calls_this_file_knows():
    assert set(WORKFLOW["jobs"]) == {"tests", "theorems", "gpu"}
    names = [words[0] for words in commands()]
    assert {name: names.count(name) for name in PROGRAMS} == {"make": 3, "pytest": 1, "geolip-theorems": 3}


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "make"], ids=" ".join)
def test_make_has_the_target(words):
    makefile = (ROOT / "Makefile").read_text().replace("$(STAMP)", ".venv/.installed")
    assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE)
    assert all(word.startswith("ARGS=") for word in words[2:])


@pytest.mark.parametrize("words", [w for w in commands() if w[0] == "geolip-theorems"], ids=" ".join)
def test_the_command_takes_these_arguments(words):
    build_parser().parse_args(words[1:])


def test_pytest_has_the_options(pytestconfig):
    known = pytestconfig._parser.optparser._option_string_actions
    calls = [w for w in commands() if w[0] == "pytest"]
    calls += [shlex.split(word[5:]) for w in commands() for word in w if word.startswith("ARGS=")]
    options = [word for words in calls for word in words if word.startswith("--")]
    assert options
    assert [option for option in options if option not in known] == []
    for words in calls:
        assert all((ROOT / word).exists() for word in words if word.startswith("theorems"))


def test_actions_are_pinned_and_jobs_end():
    for step in STEPS:
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", step["uses"]), step["uses"]
    for job in WORKFLOW["jobs"].values():
        assert 0 < job["timeout-minutes"] <= 90


def test_a_gpu_is_asked_for_by_a_variable_and_never_by_a_pull_request():
    job = WORKFLOW["jobs"]["gpu"]
    assert job["runs-on"] == ["self-hosted", "gpu"]
    assert "vars.THEOREMS_GPU == 'true'" in job["if"]
    assert "github.event_name != 'pull_request'" in job["if"]


@pytest.fixture
def compare_step(tmp_path):
    """A function that runs the step ``Compare with main`` with stand-ins for gh and the comparison."""
    (script,) = [step["run"] for step in STEPS if step.get("name") == "Compare with main"]

    def program(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)

    def run(*, found: str, code: int = 0) -> tuple[int, str, str]:
        listing = f"[ $2 = list ] && echo {found}" if found != "no access" else "exit 1"
        program(tmp_path / "bin" / "gh", f"{listing}\nexit 0\n")
        program(tmp_path / ".venv/bin/geolip-theorems", f"echo figures; echo why >&2; exit {code}\n")
        summary = tmp_path / "summary.md"
        summary.write_text("")
        environment = {
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(summary),
        }
        done = subprocess.run(
            ["bash", "-e", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, summary.read_text()

    return run


@pytest.mark.parametrize("found", ["", "no access"])
def test_without_results_of_main_it_says_so(compare_step, found):
    code, out, summary = compare_step(found=found)
    assert code == 0
    assert "No results of main to compare with yet." in out
    assert summary == out


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 0), (130, 130)])
def test_a_regression_fails_and_what_cannot_be_compared_warns(compare_step, code, ends):
    ended, out, summary = compare_step(found="12345", code=code)
    assert ended == ends
    assert "figures" in summary
    assert ("::warning title=not compared with main::why" in out) == (code == 2)
