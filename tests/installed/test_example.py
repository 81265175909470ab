"""The example repository, as a stranger has it: copied elsewhere, the package installed, no checkout."""

import json
import shutil

from .conftest import ROOT


def test_the_example_repository_passes_its_claims(stranger, tmp_path):
    shutil.copytree(ROOT / "examples" / "own_claims", tmp_path, dirs_exist_ok=True)
    words = ("--model", "model:build", "--max-images", "60", "--offline", "--junitxml", "junit.xml")
    done = stranger("pytest", *words, "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "reports/latest/results.json").read_text())
    (subject,) = results["subjects"]
    assert [(v["claim"], v["verdict"]) for v in subject["verdicts"]] == [
        ("error < 0.01", "holds"),
        ("own.worst_patch < 0.2", "holds"),
    ]
    assert all(verdict["ci95"] for verdict in subject["verdicts"])
    settings = results["settings"]
    assert (settings["file"], settings["datasets"]) == ("theorems.toml", ["scenes"])
    assert settings["options"]["max-images"] == 60, "the command line wins"
    assert 'name="claim" value="own.worst_patch &lt; 0.2"' in (tmp_path / "junit.xml").read_text()
    report = (tmp_path / "reports/latest/report.html").read_text(encoding="utf-8")
    assert "share of the error in the worst patch" in report
