"""``make gpu`` without a card: its rows, its page, and that a check which fails or dies is not passed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.gpu import __main__ as gpu
from benchmarks.gpu import checks
from benchmarks.gpu.checks import CHECKS, Place, row


def test_every_check_has_a_limit_and_all_take_ten_minutes():
    assert set(gpu.LIMITS) == set(CHECKS)
    assert sum(gpu.LIMITS.values()) <= 600


@pytest.mark.parametrize("name", ["environment", "memory"])
def test_a_dry_check_finds_what_it_expects(name, tmp_path):
    if name == "environment":
        pytest.importorskip("cuda.core", reason="cuda-core is not installed: pip install -e '.[cuda]'")
    rows = list(CHECKS[name](Place(True, tmp_path)))
    assert {found["ok"] for found in rows} <= {True, None}
    assert any(found["ok"] for found in rows)


def test_a_pass_that_never_fails_for_memory_is_not_passed(monkeypatch, tmp_path):
    """Negative control: a runner that takes any batch whole."""
    monkeypatch.setattr(checks, "TOO_LARGE", 1000)
    assert not all(found["ok"] for found in CHECKS["memory"](Place(True, tmp_path)))


def result(rows=(), end=""):
    return {"check": "maps", "dry": True, "seconds": 1.0, "end": end, "rows": list(rows)}


def test_what_is_passed():
    assert gpu.passed(result([row("a", 1), row("b", 2, 2, True)]))
    assert not gpu.passed(result([row("b", 2, 3, False)]))
    assert not gpu.passed(result([row("a", 1)], "cut off after 5 s"))
    assert not gpu.passed(result())


def test_a_check_that_is_cut_off_keeps_its_rows(monkeypatch, tmp_path):
    def killed(command, **how):
        folder = Path(command[command.index("--out") + 1])
        (folder / "maps.jsonl").write_text(json.dumps(row("error", 0, 0, True)) + "\n")
        raise gpu.subprocess.TimeoutExpired(command, how["timeout"])

    monkeypatch.setattr(gpu.subprocess, "run", killed)
    found = gpu.run_check("maps", tmp_path, dry=False)
    assert found["rows"] == [row("error", 0, 0, True)]
    assert found["end"] == f"cut off after {gpu.LIMITS['maps']} s"
    text = gpu.page(gpu.known(tmp_path))
    assert "maps: FAILED" in text
    assert gpu.NOT_RUN not in text
    assert gpu.NOT_RUN in gpu.page([result([row("a", 1)])])
