"""``run``: the theorems, or tests of one's own, without a word about pytest."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ..io.places import part
from ..run.options import ALL_OPTIONS, RUNNER, undefaulted
from .parser import add_command

INTERRUPTED = 130
CODES = {4: 2, 5: 2}  # of pytest: something cannot be used, no test was found


class _Runner:
    """Tells pytest what was ``typed``, and Ctrl-C from files that cannot be collected: both exit with 2."""

    __name__ = RUNNER
    interrupted = False

    def __init__(self, typed: list[str]) -> None:
        self.typed = typed

    def pytest_keyboard_interrupt(self, excinfo: Any) -> None:
        self.interrupted = excinfo.type is KeyboardInterrupt


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    add_argument = add_command(
        commands,
        run,
        "run",
        help="run the theorems on a model and images",
        example="geolip-theorems run --model my_checkpoint.pt --dataset mine/\n"
        "geolip-theorems run --model my_checkpoint.pt tests/test_claims.py",
        json=False,
    )
    where = "test files or folders (default: all the theorems)"
    add_argument("tests", nargs="*", metavar="TEST", help=where)
    add_argument("-v", "--verbose", action="store_true", help="show every question's tables")
    add_argument("--junitxml", metavar="FILE", help="also write the outcomes as JUnit XML")
    for flag, keywords in ALL_OPTIONS.items():
        add_argument(flag, **undefaulted(keywords))


def run(options: argparse.Namespace) -> int:
    """What pytest does with the theorems: every claim is tested, and results.json and report.html are
    written. Settings in theorems.toml or [tool.geolip-theorems] of the present folder are used; the command
    line wins.
    """
    import pytest

    words = ["--rootdir", str(Path.cwd()), "-c", os.devnull, "-p", "no:cacheprovider", "-ra"]
    words += ["-p", "geolip_theorems.plugin", "-p", "geolip_theorems.plugin.suite"]
    words += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # this package is loaded already
    typed = ["-v"] if options.verbose else []
    typed += ["--junitxml", options.junitxml] if options.junitxml else []
    for flag, keywords in ALL_OPTIONS.items():
        value = getattr(options, flag.removeprefix("--").replace("-", "_"))
        if value is not None:
            values = value if keywords.get("action") == "append" else [value]
            typed += [word for each in values for word in ([flag] if each is True else [flag, str(each)])]
    runner = _Runner(["run", *typed, *options.tests])
    code = pytest.main([*words, *typed, *(options.tests or [str(part("theorems"))])], plugins=[runner])
    return INTERRUPTED if runner.interrupted else CODES.get(code, int(code))
