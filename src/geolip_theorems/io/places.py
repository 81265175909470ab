"""Where the suite's own files are: in an installed package beside its modules, in a checkout at its top."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def part(name: str) -> Path:
    """The folder ``fixtures`` (the embedded model, its twins' figures, expected verdicts) or ``theorems``."""
    installed = PACKAGE / name
    return installed if installed.is_dir() else PACKAGE.parents[1] / name
