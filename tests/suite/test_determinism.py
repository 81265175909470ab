"""Equal inputs, seed and device give equal records, byte for byte, however the run is organised."""

import copy
import json
import os
import subprocess
import sys

from .conftest import GOLDEN, ROOT, THEOREM
from .stable import VOLATILE, differences, stable

SIZES = ["--max-images", "270", "--image-size", "32", "--ablation-images", "10", "--controls", "1"]
SIZES += ["--offline", "--no-cache"]


def text(results) -> str:
    """The stable part, keys in the order they were written in."""
    return json.dumps(stable(results), allow_nan=False)


def run(folder, *words, hash_seed: int, threads: int) -> dict:
    """The record of a run of the real command line in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, words)]
    command += ["--model", str(GOLDEN), "--dataset", "scenes", *SIZES, "--report-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert (folder / "results.json").exists(), done.stdout + done.stderr
    return json.loads((folder / "results.json").read_text())


def test_runs_agree_to_the_last_byte(tmp_path):
    """Another hash seed, two processes, two threads, the tests in reverse: the same record and companion.

    And the same with two processes that extract: they take a shard of 256 images and one of 14.
    """
    one = run(tmp_path / "one", THEOREM, hash_seed=1, threads=1)
    assert one["subjects"][0]["verdicts"]
    reverse = sorted(THEOREM.glob("test_*.py"), reverse=True)
    others = {
        "xdist": run(tmp_path / "xdist", *reverse, "-n", "2", hash_seed=2, threads=2),
        "workers": run(tmp_path / "workers", THEOREM, "--workers", "2", hash_seed=3, threads=2),
    }
    companions = files(tmp_path / "one")
    assert companions
    for name, other in others.items():
        assert differences(stable(one), stable(other)) == {}, name
        assert text(one) == text(other), name
        assert files(tmp_path / name) == companions, name


def files(folder) -> dict[str, bytes]:
    """The companions that a run left."""
    return {path.name: path.read_bytes() for path in folder.glob("*.npz")}


RECORD = {
    "created": "today",
    "command": ["pytest"],
    "environment": {"torch_threads": 1, "cpus_allowed": 2, "python": "3.12"},
    "subjects": [{"id": "a", "timings": {"extraction_s": 1.5}, "measurements": {"x": 1.0}}],
    "comparisons": [{"timings": {"extraction": {}}, "metrics": []}],
}


def test_only_what_is_listed_may_differ():
    """Negative control: every other change is seen, so the last bit of a figure and the order of keys."""
    changed = copy.deepcopy(RECORD)
    for part in (changed, changed["environment"], changed["subjects"][0], changed["comparisons"][0]):
        for key in set(part) & {path.rpartition(".")[2] for path in VOLATILE}:
            part[key] = "something else"
    assert text(changed) == text(RECORD)
    assert RECORD["subjects"][0]["timings"] == {"extraction_s": 1.5}
    moved = copy.deepcopy(RECORD)
    moved["subjects"][0]["measurements"]["x"] = 1.0 + 2**-52
    assert differences(stable(moved), stable(RECORD)) == {"subjects.0.measurements.x": (1.0 + 2**-52, 1.0)}
    turned = {**RECORD, "subjects": [dict(reversed(RECORD["subjects"][0].items()))]}
    assert text(turned) != text(RECORD)


def test_every_volatile_path_is_there():
    """A path that names nothing would promise too little."""
    for path in VOLATILE:
        part = RECORD
        for word in path.split("."):
            part = part[0] if word == "*" else part[word]
