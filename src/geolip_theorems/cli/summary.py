"""``summary``: a results.json as Markdown."""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import print_json
from .parser import add_command, add_json


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "summary",
        run,
        help="print a results.json as Markdown",
        description="The verdicts of a run as Markdown tables, for a CI job's summary page or an issue.",
        example='geolip-theorems summary reports/latest/results.json >> "$GITHUB_STEP_SUMMARY"',
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """The ``summary`` command."""
    from ..report.markdown import summary
    from ..results.record import read_results

    results = read_results(options.results)
    if options.json:
        keys = ("question", "claim", "value", "ci95", "threshold", "comparison", "verdict", "attributed")
        print_json(
            [
                {"subject": subject["id"], **{key: verdict[key] for key in keys}}
                for subject in results["subjects"]
                for verdict in subject["verdicts"]
            ]
        )
    else:
        print(summary(results))
