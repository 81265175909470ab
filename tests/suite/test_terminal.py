"""What people see: progress on a terminal, tables at the end, nothing but text in a pipe."""

import os
import pty
import subprocess
import sys
from contextlib import suppress

import pytest

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
    assert "60/60" in text
    assert "\x1b[" in text


def test_a_pipe_gets_plain_tables(tmp_path):
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, cwd=ROOT, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.OK, text
    assert "\x1b[" not in text
    assert "extracting" not in text
    for part in (
        "spatial CV per image",
        "cosine between classes",
        "edge/center",
        "energy of the modes",
        "release+eigenvalues+friction",
        "top patches",
        "verdicts",
        "results: ",
    ):
        assert part in text
    assert sum(line.startswith("q") for line in text.splitlines()) == 7
