"""Runs of the suite's real command line, from a folder of their own."""

import json
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch  # noqa: F401  before any run in this process, which forgets what it imported: twice is a crash

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "svae_d4.pt"
THEOREM = ROOT / "theorems" / "theorem3_release_fidelity"
SMALL = ("--max-images", "60", "--ablation-images", "20", "--offline")


@dataclass
class Run:
    """A finished run: pytest's result and where it wrote."""

    result: pytest.RunResult
    folder: Path

    @property
    def text(self) -> str:
        return self.result.stdout.str() + self.result.stderr.str()

    @property
    def results(self) -> dict:
        return json.loads((self.folder / "reports/latest/results.json").read_text())

    def verdicts(self, subject=0) -> dict[str, dict]:
        return {verdict["claim"]: verdict for verdict in self.results["subjects"][subject]["verdicts"]}

    @property
    def junit(self) -> dict[str, dict[str, str]]:
        """Properties by test name."""
        cases = ElementTree.parse(self.folder / "junit.xml").iter("testcase")
        return {
            case.get("name"): {p.get("name"): p.get("value") for p in case.iter("property")} for case in cases
        }


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    """A cache that most runs share: what they measure is the same, what they say of it differs."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run_suite(pytester: pytest.Pytester, shared_cache: Path):
    """A function that runs pytest on theorem 3 (or ``paths``) with arguments; no report unless asked for."""

    def run(
        *arguments,
        paths=(THEOREM,),
        subprocess=False,
        controls=0,
        cache=shared_cache,
        report=False,
        lasting=None,
    ) -> Run:
        fixed = ["-c", ROOT / "pyproject.toml", "--rootdir", ROOT]
        fixed += ["-o", f"cache_dir={lasting}"] if lasting else ["-p", "no:cacheprovider"]
        fixed += ["--cache-dir", cache, "--junitxml", pytester.path / "junit.xml", "--controls", controls]
        fixed += [] if report else ["--no-report"]
        words = [str(word) for word in (*fixed, *paths, *arguments)]
        runner = pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess
        return Run(runner(*words), pytester.path)

    return run


@pytest.fixture
def npz(tmp_path):
    """A function that writes an image file of 24 small images, with changes."""

    def write(name="some.npz", **changes) -> Path:
        rng = np.random.default_rng(0)
        content = {"images": rng.integers(0, 256, (24, 16, 16, 3), np.uint8), "labels": np.arange(24) % 3}
        content.update(changes)
        path = tmp_path / name
        np.savez(path, **{key: value for key, value in content.items() if value is not None})
        return path

    return write
