"""The commands that read results files: ``report``, ``compare``, ``history``, ``summary`` and ``card``."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from ..results.comparison import FAIL_ON, regressed
from .output import print_json, print_rich, print_table, say, show
from .parser import HTML, RESULTS, add_command

REGRESSED = 1
LARGEST_CARD = 4 << 20  # bytes
IN_SUMMARY = ("question", "claim", "value", "ci95", "threshold", "comparison", "verdict", "attributed")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the commands."""
    add_argument = add_command(
        commands,
        report,
        "report",
        help="make the HTML report of a results.json",
        example="geolip-theorems report reports/latest/results.json\n"
        "geolip-theorems report results.json --out report.html",
    )
    add_argument("results", **RESULTS)
    add_argument(
        "--out", type=Path, metavar="FILE", help="the HTML file (default: report.html beside RESULTS)"
    )

    add_argument = add_command(
        commands,
        compare,
        "compare",
        help="compare the results of two or more versions",
        example="geolip-theorems compare v1/results.json v2/results.json\n"
        "geolip-theorems compare v1/results.json v2/results.json --fail-on flip --html compare.html",
    )
    add_argument("results", **{**RESULTS, "nargs": "+", "help": "results.json files, first old"})
    add_argument(
        "--fail-on",
        choices=FAIL_ON,
        default="regression",
        help="what makes the exit code 1: a metric certainly worse by enough to matter, or a verdict that "
        "got worse with a figure certainly worse (regression); also a verdict that got worse within chance "
        "(flip); nothing (never)",
    )
    add_argument("--html", **HTML)

    add_argument = add_command(
        commands,
        follow,
        "history",
        help="follow the figures over many versions",
        example="geolip-theorems history reports/baselines --html history.html",
    )
    about = "a folder of runs: results files, or folders with a results.json as baselines are"
    add_argument("folder", type=Path, metavar="DIR", help=about)
    add_argument("--html", **HTML)

    add_argument = add_command(
        commands,
        summarise,
        "summary",
        help="print a results.json as Markdown",
        example='geolip-theorems summary reports/latest/results.json >> "$GITHUB_STEP_SUMMARY"',
    )
    add_argument("results", **RESULTS)

    add_argument = add_command(
        commands,
        card,
        "card",
        help="write the verdicts of a run into a model card",
        example="geolip-theorems card reports/latest/results.json --out README.md\n"
        "geolip-theorems card results.json --out README.md --push owner/model",
    )
    add_argument("results", **RESULTS)
    add_argument("--out", type=Path, required=True, metavar="CARD", help="the card to write or update")
    add_argument("--model", metavar="NAME", help="of a run of several models: which one's card it is")
    add_argument("--push", metavar="REPOSITORY", help="also send the card to this one on the hub")


def report(options: argparse.Namespace) -> None:
    """One self-contained HTML file: it opens from disk, without a network. It is drawn from the results.json
    and the .maps.npz files beside it; without those the figures are left out."""
    from ..report.html.write import write_report

    written = write_report(options.results, options.out or options.results.with_name("report.html"))
    if options.json:
        print_json({"report": str(written), "bytes": written.stat().st_size})
    else:
        show(f"report: {written}")


def compare(options: argparse.Namespace) -> int:
    """Every metric of the later runs beside the first: paired by image where both runs saw the same images,
    with intervals; flipped verdicts first."""
    from ..compare.ranking import rankings
    from ..compare.sides import compare_runs, open_run
    from ..report.comparison import ABOUT_RANKS, rendered
    from ..report.comparison import ranked as tables
    from ..results.record import finite

    comparisons = compare_runs(options.results)
    ranked = rankings([side for path in options.results for side in open_run(path)])
    found = [line for comparison in comparisons for line in comparison.regressions(options.fail_on)]
    if options.html:
        from ..report.html.comparing import write_comparison

        write_comparison(comparisons, options.html, ranked)
        say(f"comparison: {options.html}")
    if options.json:
        content = {
            "comparisons": [comparison.to_dict() for comparison in comparisons],
            "rankings": [asdict(ranking) for ranking in ranked],
            "regressions": [line for comparison in comparisons for line in comparison.regressions()],
            "fail_on": options.fail_on,
            "failed": bool(found),
        }
        print_json(finite(content))
    else:
        print_rich(*(part for comparison in comparisons for part in rendered(comparison)))
        for title, columns, rows in tables(ranked):
            print_table(columns, rows, title=title, right=columns[2:])
            show(f"note: {ABOUT_RANKS}")
        if found:
            say(f"{regressed(comparisons, options.fail_on)}: exit code {REGRESSED}")
    return REGRESSED if found else 0


def follow(options: argparse.Namespace) -> None:
    """Every figure over the runs in a folder, oldest first: verdicts that flipped, and change points,
    versions that differ beyond chance from the one at the change point before.
    """
    from ..compare.history import events, history, read_versions
    from ..report.comparison import value
    from ..results.record import finite

    histories = [history(versions) for versions in read_versions(options.folder)]
    if options.html:
        from ..report.html.comparing import write_history

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


def summarise(options: argparse.Namespace) -> None:
    """The verdicts of a run as Markdown tables, for a CI job's summary page or an issue."""
    from ..report.markdown import summary
    from ..results.record import read_results

    results = read_results(options.results)
    if options.json:
        print_json(
            [
                {"subject": subject["id"], **{key: verdict[key] for key in IN_SUMMARY}}
                for subject in results["subjects"]
                for verdict in subject["verdicts"]
            ]
        )
    else:
        print(summary(results))


def card(options: argparse.Namespace) -> None:
    """Write or update a section of a model card, between two markers, and the model-index of its metadata;
    the rest of the card stays. The metadata are checked as the hub checks them. Nothing is sent anywhere
    unless --push is given.
    """
    from ..io.files import read_small
    from ..report.card import subjects_of, updated_card
    from ..report.html.shell import write_text
    from ..results.record import read_results

    subjects = subjects_of(read_results(options.results), options.model)
    there = read_small(options.out, "model card", LARGEST_CARD) if options.out.exists() else b""
    made = updated_card(there.decode("utf-8", "replace"), subjects)
    write_text(options.out, "model card", str(made))
    entries = len(made.data.eval_results or [])
    if options.json:
        print_json({"card": str(options.out), "evaluations": entries, "pushed": options.push})
    else:
        show(f"card: {options.out}, {entries} entries in its model-index")
    if options.push:
        made.push_to_hub(options.push)
        say(f"pushed to {options.push}")
