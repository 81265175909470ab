"""The command line, ``geolip-theorems COMMAND``.

Exit codes: 0 done; 1 something regressed, or is damaged; 2 something given cannot be used; 130 interrupted;
141 the reader of a pipe went away.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .. import __version__
from ..io.errors import InputError
from . import cache, card, compare, history, listings, report, run, summary, train
from .parser import EXIT_CODES, Parser, TeachingFormatter

DESCRIPTION = "Tests of what a patch-SVD autoencoder keeps and loses, and what to do with their results."
EPILOG = f"""\
Begin with:
  geolip-theorems run --model my_checkpoint.pt --dataset digits # writes reports/latest/results.json

Then:
  geolip-theorems report reports/latest/results.json            # one HTML file to look at
  geolip-theorems compare old/results.json new/results.json     # what changed between two versions

Each command has its own help: geolip-theorems COMMAND --help

{EXIT_CODES}"""
COMMANDS = (run, listings, train, report, compare, history, cache, summary, card)  # in the order of --help
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + the number of the signal, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    try:
        options = build_parser().parse_args(arguments)
        code = options.run(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"geolip-theorems: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # `... | head` is no error. What is still in the buffer goes nowhere, without a second complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    return code or 0


def build_parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    parser = Parser(
        prog="geolip-theorems", description=DESCRIPTION, epilog=EPILOG, formatter_class=TeachingFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for module in COMMANDS:
        module.add(commands)
    return parser
