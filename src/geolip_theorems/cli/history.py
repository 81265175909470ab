"""``history``: the figures of many versions, what flipped and what changed beyond chance."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from .output import print_json, print_table, say, show
from .parser import add_command, add_json


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "history",
        run,
        help="follow the figures over many versions",
        description="Every figure over the runs in a folder, oldest first: verdicts that flipped, and change "
        "points, versions that differ beyond chance from the one at the change point before.",
        example="geolip-theorems history reports/baselines --html history.html",
        codes="exit codes: 0 done, 2 something given cannot be used, 3 an error of the program, "
        "130 interrupted",
    )
    parser.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        help="a folder of runs: results files, or folders with a results.json as baselines are",
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the history as HTML")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """The ``history`` command."""
    from ..compare.history import events, history, read_versions
    from ..report.comparison import value
    from ..results.record import finite

    histories = [history(versions) for versions in read_versions(options.folder)]
    if options.html:
        from ..report.html.over_time import write_history

        write_history(histories, options.html)
        say(f"history: {options.html}")
    if options.json:
        print_json(finite({"histories": [asdict(found) for found in histories]}))
        return
    for found in histories:
        names = [name for name, _ in found.versions]
        rows = [
            (series.question, series.title, *(value(entry, series.unit) for entry in series.figures))
            for series in found.series
        ]
        print_table(("", "metric", *names), rows, title=found.subject, right=names)
        for event in events(found):
            show(": ".join(event))
        if not events(found):
            show("nothing changed beyond chance, and no verdict flipped")
        for name, why in found.left_out.items():
            show(f"note: {name} is left out: {why}")
