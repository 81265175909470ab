"""``compare``: two or more results.json side by side."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..results.comparison import FAIL_ON
from .output import console, print_json, print_table, say, show
from .parser import add_command, add_json

if TYPE_CHECKING:
    from ..compare.ranking import Ranking
    from ..results.comparison import Comparison

REGRESSED = 1


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
        "cannot be compared, 3 an error of the program itself",
    )
    parser.add_argument(
        "results", type=Path, nargs="+", metavar="RESULTS", help="results.json files, first old"
    )
    parser.add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default="regression",
        help="what makes the exit code 1: a metric certainly worse by enough to matter, or a verdict that "
        "got worse with a figure certainly worse (regression, default); also a verdict that got worse within "
        "chance (flip); nothing (never)",
    )
    parser.add_argument(
        "--timings", action="store_true", help="also show the seconds of either run, by stage"
    )
    parser.add_argument("--html", type=Path, metavar="FILE", help="also write the comparison as HTML")
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """The ``compare`` command."""
    from ..compare.ranking import rankings
    from ..compare.sides import compare_runs, open_run
    from ..results.record import finite

    comparisons = compare_runs(options.results)
    ranked = rankings([side for path in options.results for side in open_run(path)])
    regressions = [line for comparison in comparisons for line in comparison.regressions()]
    found = [line for comparison in comparisons for line in comparison.regressions(options.fail_on)]
    if options.html:
        from ..report.html.compared import write_comparison

        write_comparison(comparisons, options.html, ranked)
        say(f"comparison: {options.html}")
    if options.json:
        content = {
            "comparisons": [comparison.to_dict() for comparison in comparisons],
            "rankings": [asdict(ranking) for ranking in ranked],
            "regressions": regressions,
            "fail_on": options.fail_on,
            "failed": bool(found),
        }
        print_json(finite(content))
    else:
        show_all(comparisons)
        show_rankings(ranked)
        if options.timings:
            show_timings(comparisons)
        if found:
            say(f"{len(found)} got worse: exit code {REGRESSED}")
    return REGRESSED if found else 0


def show_rankings(ranked: list[Ranking]) -> None:
    """The table of all models, where there are at least three."""
    from ..report.ranking import EXPLAINED, tables

    for title, columns, rows in tables(ranked):
        print_table(columns, rows, title=title, right=columns[2:])
        show(f"note: {EXPLAINED}")


def show_timings(comparisons: list[Comparison]) -> None:
    """Seconds by stage, of single runs, which a busy machine changes by any factor."""
    from ..report.comparison import heading, timing_rows

    columns = ("timing, s", "before", "now", "ratio")
    for comparison in comparisons:
        if rows := timing_rows(comparison):
            print_table(columns, rows, title=heading(comparison), right=columns[1:])


def show_all(comparisons: list[Comparison]) -> None:
    """Rich tables on a terminal, one line per row elsewhere."""
    from ..report.comparison import (
        COLUMNS,
        NUMBERS,
        closing,
        describe_flip,
        heading,
        render_comparison,
        texts,
    )

    to = console()
    for comparison in comparisons:
        if to.is_terminal:
            render_comparison(comparison, to)
            continue
        show(heading(comparison))
        if comparison.refused:
            show(f"not compared: {comparison.refused}")
            continue
        for flip in comparison.verdicts:
            if flip.outcome != "same":
                show(describe_flip(flip))
        print_table(COLUMNS, [texts(found) for found in comparison.metrics], right=NUMBERS)
        for note in comparison.notes:
            show(f"note: {note}")
        show(closing(comparison))
