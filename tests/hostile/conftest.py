"""A function that has a file read in a process of its own, see worker.py."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def worker():
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    environment.pop("PYTHONWARNINGS", None)
    words = [sys.executable, "-m", "tests.hostile.worker"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as process:
        assert json.loads(process.stdout.readline() or '"the worker did not start"') == "ready"
        yield process
        process.stdin.close()


@pytest.fixture
def home():
    """A folder that every user of the machine may read, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    folder.chmod(0o755)
    (folder / "home").mkdir()
    yield folder / "home"
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def examine(worker, home):
    """Reads ``path`` with a loader; gives the report."""

    def read(loader: str, path: Path, **more) -> dict:
        request = {"loader": loader, "path": str(path), "home": str(home), **more}
        worker.stdin.write(json.dumps(request) + "\n")
        worker.stdin.flush()
        return json.loads(worker.stdout.readline())

    return read
