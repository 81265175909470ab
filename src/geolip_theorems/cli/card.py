"""``card``: a run's verdicts in a model card."""

from __future__ import annotations

import argparse
from pathlib import Path

from .output import print_json, say, show
from .parser import add_command, add_json

LARGEST = 4 << 20  # bytes of a model card


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "card",
        run,
        help="write the verdicts of a run into a model card",
        description="Write or update a section of a model card, between two markers, and the model-index of "
        "its metadata; the rest of the card stays. The metadata are checked as the hub checks them. Nothing "
        "is sent anywhere unless --push is given.",
        example="geolip-theorems card reports/latest/results.json --out README.md\n"
        "geolip-theorems card results.json --out README.md --push owner/model",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="a results.json")
    parser.add_argument("--out", type=Path, required=True, metavar="CARD", help="the card to write or update")
    parser.add_argument("--model", metavar="NAME", help="of a run of several models: which one's card it is")
    parser.add_argument("--push", metavar="REPOSITORY", help="also send the card to this one on the hub")
    add_json(parser)


def run(options: argparse.Namespace) -> None:
    """The ``card`` command."""
    from ..io.files import read_small
    from ..report.card import subjects_of, updated_card
    from ..report.html.shell import write_page
    from ..results.record import read_results

    subjects = subjects_of(read_results(options.results), options.model)
    there = read_small(options.out, "model card", LARGEST) if options.out.exists() else b""
    card = updated_card(there.decode("utf-8", "replace"), subjects)
    write_page(str(card), options.out, "model card")
    entries = len(card.data.eval_results or [])
    if options.json:
        print_json({"card": str(options.out), "evaluations": entries, "pushed": options.push})
    else:
        show(f"card: {options.out}, {entries} entries in its model-index")
    if options.push:
        card.push_to_hub(options.push)
        say(f"pushed to {options.push}")
