"""Ctrl-C while the suite loads is answered only where pytest is the program, and only until it takes over."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from geolip_theorems.plugin import start

ROOT = Path(__file__).parents[2]


@pytest.fixture
def unanswered():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    start._installed.clear()
    signal.signal(signal.SIGINT, before)


def answer(monkeypatch, program):
    """As in a process of its own, outside any test."""
    monkeypatch.setattr(sys, "argv", [program])
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    start._answer_interruption()


@pytest.mark.parametrize("program", ["/usr/bin/pytest", "/lib/pytest/__main__.py"])
def test_pytest_takes_over_whatever_became_of_the_signal(unanswered, monkeypatch, program):
    answer(monkeypatch, program)
    assert signal.getsignal(signal.SIGINT) is start._end
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a library swallowed the end
    start.pytest_configure(None)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("program", ["/home/me/tool.py", "/lib/tool/__main__.py", ""])
def test_another_program_keeps_its_signal(unanswered, monkeypatch, program):
    answer(monkeypatch, program)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its own choice
    start.pytest_configure(None)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_python_without_assertions_runs_the_tests_all_the_same(tmp_path):
    (tmp_path / "test_two.py").write_text("def test_a():\n    assert 0\n\n\ndef test_b():\n    assert 1\n")
    words = [sys.executable, "-O", "-m", "pytest", "-c", ROOT / "pyproject.toml", "-p", "no:cacheprovider"]
    done = subprocess.run([*words, tmp_path], capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 failed, 1 passed" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
