"""The built wheel, unpacked as pip does, and programs that see it and no checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODEL = "codec:blur"  # which needs no solver, that Numba would compile anew in a new folder
SMALL = ("--max-images", "60", "--ablation-images", "20", "--controls", "0", "--offline", "--no-report")


def build(*words, source: Path = ROOT) -> None:
    subprocess.run([sys.executable, "-m", "hatchling", "build", *map(str, words)], cwd=source, check=True)


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """Built from the checkout."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    build("-t", "wheel", "-d", folder)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="session")
def site(wheel, tmp_path_factory) -> Path:
    """The wheel's content, a folder for ``PYTHONPATH``."""
    folder = tmp_path_factory.mktemp("site")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def stranger(site, tmp_path):
    """A function that runs ``python -m WORDS`` from an empty folder with the wheel."""

    def run(*words) -> subprocess.CompletedProcess:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
        environment |= {"PYTHONPATH": str(site), "COLUMNS": "200"}
        command = [sys.executable, "-m", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run
