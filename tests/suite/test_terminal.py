"""What people see: progress on a terminal, tables at the end, nothing but text in a pipe."""

import os
import pty
import subprocess
import sys
import threading
from contextlib import suppress

import pytest
from filelock import FileLock

from .conftest import GOLDEN, ROOT, SMALL, THEOREM


def command(tmp_path):
    words = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(THEOREM), "--model", str(GOLDEN)]
    words += ["--dataset", "scenes", *SMALL, "--controls", "0", "--no-cache", "--report-dir", str(tmp_path)]
    return words


def on_a_terminal(words) -> str:
    """All that a command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "130"}
    with subprocess.Popen(words, stdout=follower, stderr=follower, cwd=ROOT, env=environment) as process:
        os.close(follower)
        parts = []
        with suppress(OSError):  # Linux ends a terminal's output with an error
            while part := os.read(leader, 65536):
                parts.append(part)
        process.wait(120)
    os.close(leader)
    return b"".join(parts).decode(errors="replace")


def test_progress_shows_on_a_terminal_through_capture(tmp_path):
    text = on_a_terminal(command(tmp_path))
    assert "extracting svae_d4-scenes" in text
    assert "/60 [" in text
    assert "\x1b[" in text


TABLES = (
    "spatial CV per image",
    "cosine between classes",
    "edge / center",
    "energy of the modes",
    "release+eigenvalues+friction",
    "top patches",
)


def test_a_pipe_gets_plain_verdicts_and_tables_where_asked_for(tmp_path):
    plain, asked = (
        subprocess.run([*command(tmp_path), *more], capture_output=True, text=True, cwd=ROOT, check=False)
        for more in ((), ("-v",))
    )
    for done in (plain, asked):
        text = done.stdout + done.stderr
        assert done.returncode == pytest.ExitCode.OK, text
        assert "\x1b[" not in text
        assert "extracting" not in text
        assert "results: " in text
        assert sum(line.startswith("q") for line in text.splitlines()) == 8
        first = [line for line in done.stderr.splitlines() if line.startswith("  q")]
        assert [line.split(":")[0] for line in first] == ["  q1", "  q2", "  q3", "  q6"], "no probes yet"
    assert all(part in asked.stdout for part in TABLES)
    assert not any(part in plain.stdout for part in TABLES)


def test_news_of_xdists_workers_reaches_standard_error_once(tmp_path, run_suite):
    """Two workers wait for a lock that this process holds; one extracts a damaged shard again."""
    cache = tmp_path / "cache"
    run_suite("--model", GOLDEN, "--dataset", "scenes", *SMALL, "-k", "q1", cache=cache)
    (error,) = cache.glob("*/*/error.npy")
    error.write_bytes(error.read_bytes()[:-4] + b"\x00\x00\x80\x3f")
    words = [word for word in command(tmp_path / "r") if word != "--no-cache"]
    words += ["-n", "2", "-k", "q1 or q6", "--cache-dir", str(cache)]
    waits, redone = "another process is computing the same; waiting for it", "shard 1 of 1 is damaged"
    with FileLock(f"{error.parent}.lock"):
        # To a file: a pipe that is not emptied would hold the run up.
        with (tmp_path / "out").open("w") as out:
            process = subprocess.Popen(words, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True)
        patience = threading.Timer(100, process.kill)
        patience.start()  # a run that says nothing would wait for ever
        lines = []
        for line in process.stderr:
            lines.append(line)
            if waits in line:
                break
    text = "".join(lines) + process.stderr.read()
    patience.cancel()
    assert process.wait(120) == pytest.ExitCode.OK, text + (tmp_path / "out").read_text()
    assert text.count(waits) == 1
    assert text.count(redone) == 1
