"""``report``: a results.json as one HTML file."""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import print_json, show
from .parser import add_command, add_json


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "report",
        run,
        help="make the HTML report of a results.json",
        description="One self-contained HTML file: it opens from disk, without a network. It is drawn from "
        "the results.json and the .maps.npz files beside it; without those the figures are left out.",
        example="geolip-theorems report reports/latest/results.json\n"
        "geolip-theorems report results.json --out report.html",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="the HTML file (default: report.html beside RESULTS)"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """The ``report`` command."""
    from ..report.html.write import write_report

    written = write_report(options.results, options.out or options.results.with_name("report.html"))
    if options.json:
        print_json({"report": str(written), "bytes": written.stat().st_size})
    else:
        show(f"report: {written}")
