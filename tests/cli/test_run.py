"""``geolip-theorems run``: pytest's run, exit codes and one-line errors of the command line's own."""

import itertools
import json

import pytest

from geolip_theorems.cli import build_parser, main

NUMBERS = itertools.count()
SMALL = ["--max-images", "60", "--ablation-images", "20", "--controls", "0", "--offline", "--no-report"]
CLAIM = (
    "from geolip_theorems import claim, metrics as m\n\n"
    "@claim(m.error < 1e-4)\ndef test_reconstructs(verdict):\n    verdict.check()\n"
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function that runs the command on a file with a claim, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    name = f"test_{next(NUMBERS)}.py"  # pytest remembers modules by their names
    (tmp_path / name).write_text(CLAIM)

    def call(*words: str) -> int:
        call.name = name
        return main(["run", name, "--dataset", "scenes", *SMALL, *words])

    return call


def test_a_claim_of_ones_own_is_tested_and_its_failure_is_exit_code_1(run, tmp_path, capsys):
    assert run("--model", "codec:blur:sigma=3", "--junitxml", "junit.xml") == 1
    text = capsys.readouterr().out
    assert f"{run.name}::test_reconstructs[error < 0.0001-codec-blur-sigma-3-scenes]" in text
    assert f"reproduce: pytest {run.name}::test_reconstructs --model codec:blur:sigma=3" in text
    results = json.loads((tmp_path / "reports/latest/results.json").read_text())
    (subject,) = results["subjects"]
    assert [(v["claim"], v["verdict"]) for v in subject["verdicts"]] == [("error < 0.0001", "fails")]
    assert results["command"][:2] == ["geolip-theorems", "run"]
    assert build_parser().parse_args(results["command"][1:]).tests == [run.name]
    assert 'name="verdict" value="fails"' in (tmp_path / "junit.xml").read_text()


def test_a_baseline_is_compared_with_beside_a_claim_of_ones_own(run, capsys):
    assert run("--model", "codec:blur:sigma=1", "--save-baseline", "good") == 1
    assert run("--model", "codec:blur:sigma=3", "--baseline", "good") == 1
    text = capsys.readouterr().out
    assert "FAILED" in text
    assert "test_metric_is_no_worse[" in text


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--modle", "a.pt"], "unknown option '--modle'; did you mean '--model'"),
        (["--seed", "x"], "argument --seed: invalid whole number from 0 to 4294967295 value: 'x'"),
        (["--model", "nowhere.pt"], "model file 'nowhere.pt' does not exist"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line_and_is_exit_code_2(run, capsys, words, line):
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert line in captured.err + captured.out
    assert "Traceback" not in captured.err + captured.out


def test_a_file_that_cannot_be_collected_is_no_interruption(run, tmp_path, capsys):
    (tmp_path / "test_broken.py").write_text("import nothing_of_this_name\n")
    assert main(["run", "--model", "codec:blur", "--dataset", "scenes", "test_broken.py"]) == 2
    assert "No module named 'nothing_of_this_name'" in capsys.readouterr().out
