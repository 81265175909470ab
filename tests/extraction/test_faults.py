"""Ctrl-C and kill -9 against real extractions in processes of their own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def start(*arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX")
def test_ctrl_c_stops_within_a_second_and_says_how_to_go_on(tmp_path):
    process = start("-m", "tests.extraction.interrupted", tmp_path)
    tiles = []
    for line in process.stdout:
        tiles.append(float(line.split()[1]))
        if len(tiles) == 4:
            break
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    last = next(line for line in process.stdout if not line.startswith("tile"))
    seconds = time.monotonic() - begun  # what comes after is Python's own tidying up
    assert process.wait(60) == 130
    kept = int(re.search(r"interrupted; (\d+) of 500 shards are kept: the same command goes on", last)[1])
    assert 2 <= kept < 500
    ledger = next(tmp_path.glob("v*/*/shards"))
    assert len(list(ledger.glob("*.json"))) == kept
    assert seconds < max(1.0, 5 * max(tiles[1:]))  # a second, unless the machine is too busy for any tile


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind are POSIX")
def test_killed_runs_go_on_to_the_same_bytes():
    """Five points of ``make torture``."""
    process = start("benchmarks/torture.py", "--points", 5, "--images", 80, "--seed", 1)
    out, _ = process.communicate(timeout=600)
    assert process.returncode == 0, out
    assert "5 kills" in out
    assert out.count("same bytes") == 5
    between = int(re.search(r"(\d+) between the first and the last shard", out)[1])
    assert between >= 2, out
