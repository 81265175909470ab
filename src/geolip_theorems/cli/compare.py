"""``compare``: two or more results.json side by side."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .parser import add_command, add_json

FAIL_ON = ("regression", "flip", "never")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "compare",
        run,
        help="compare the results of two or more versions",
        description="Every metric of the later runs beside the first: paired by image where both runs saw "
        "the same images, with intervals; flipped verdicts first.",
        example="geolip-theorems compare v1/results.json v2/results.json\n"
        "geolip-theorems compare v1/results.json v2/results.json --fail-on flip --html compare.html",
        codes="exit codes: 0 nothing that --fail-on names, 1 there is, 2 something given cannot be used or "
        "cannot be compared",
    )
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS", help="results.json files, first old"
    )
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default="regression",
        help="what makes the exit code 1: a metric that got worse or a verdict that got worse (regression, "
        "default), a verdict that got worse (flip), nothing (never)",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the comparison as HTML")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """The ``compare`` command."""
    if len(options.results) < 2:
        raise InputError("compare: one file given; expected two or more results.json, the old one first")
    raise InputError("compare: not there yet")
