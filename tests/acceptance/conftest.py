"""Runs of the suite's real command line, each made once."""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from xml.etree import ElementTree

import pytest

from geolip_theorems.conduit.backends import BACKENDS
from geolip_theorems.data.sources import SOURCES
from geolip_theorems.model.architectures import ARCHITECTURES
from geolip_theorems.probes.signals import SIGNALS
from geolip_theorems.questions import base
from geolip_theorems.results.record import read_results

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
GOLDEN = ROOT / "tests" / "data" / "svae_d4.pt"


@dataclass(frozen=True)
class Run:
    """A finished run: its folder, exit code and what it printed."""

    folder: Path
    code: int
    text: str

    @property
    def results(self) -> Path:
        return self.folder / "report" / "results.json"

    @cached_property
    def subject(self) -> dict:
        """The record of its only subject."""
        (found,) = read_results(self.results)["subjects"]
        return found

    def verdict(self, claim: str) -> dict:
        return next(verdict for verdict in self.subject["verdicts"] if verdict["claim"] == claim)

    @cached_property
    def junit(self) -> dict[str, tuple[str, dict[str, str]]]:
        """Outcome and properties by test name."""
        found = {}
        for case in ElementTree.parse(self.folder / "junit.xml").iter("testcase"):
            outcome = next((c.tag for c in case if c.tag in ("failure", "skipped", "error")), "passed")
            found[case.get("name")] = (
                outcome,
                {p.get("name"): p.get("value") for p in case.iter("property")},
            )
        return found


@pytest.fixture(scope="session")
def suite(tmp_path_factory):
    """A function that runs pytest on files with arguments, 60 images, in a folder of its own."""
    cache = tmp_path_factory.mktemp("cache")

    def run(*arguments, folder: Path, model: Path = GOLDEN, dataset: str = "scenes") -> Run:
        words = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT, "-p", "no:cacheprovider"]
        words += ["-v", "--offline"]
        words += ["--model", model, "--dataset", dataset, "--max-images", 60, "--ablation-images", 20]
        words += ["--cache-dir", cache, "--report-dir", folder / "report"]
        words += ["--junitxml", folder / "junit.xml", *arguments]
        command = [sys.executable, "-m", "pytest", *map(str, words)]
        paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
        return Run(folder, done.returncode, done.stdout + done.stderr)

    return run


@pytest.fixture
def own_registry(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(base, "_ASKED", dict(base._ASKED))
    registries = (SIGNALS, SOURCES, BACKENDS, ARCHITECTURES)
    kept = [dict(registry) for registry in registries]
    yield
    for registry, entries in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(entries)
