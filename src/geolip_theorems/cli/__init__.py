"""The command line, ``geolip-theorems COMMAND``.

Exit codes: 0 done; 1 something regressed, or is damaged; 2 something given cannot be used; 3 an error of the
program itself; 130 interrupted; 141 the reader of a pipe went away.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from .. import __version__
from ..io.errors import InputError, reason
from . import cache, listings, results, run, train
from .output import say
from .parser import EXIT_CODES, Parser

DESCRIPTION = "Tests of what a patch-SVD autoencoder keeps and loses, and what to do with their results."
EPILOG = f"""\
Begin with:
  geolip-theorems run --model my_checkpoint.pt --dataset digits # writes reports/latest/results.json

Then:
  geolip-theorems report reports/latest/results.json            # one HTML file to look at
  geolip-theorems compare old/results.json new/results.json     # what changed between two versions

Each command has its own help: geolip-theorems COMMAND --help

{EXIT_CODES}"""
MODULES = (run, listings, train, results, cache)  # in the order of --help
UNUSABLE, INTERNAL = 2, 3
INTERRUPTED, PIPE_CLOSED = 130, 141  # 128 + the number of the signal, as shells count
TRACEBACK = "GEOLIP_TRACEBACK"
REPORT = (
    f"please report it as an issue of this suite's repository, with the traceback that {TRACEBACK}=1 shows"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that knows fewer characters gets escapes
            stream.reconfigure(errors="backslashreplace")
    try:
        options = build_parser().parse_args(arguments)
        code = options.run(options)
        sys.stdout.flush()
    except InputError as error:
        say(f"geolip-theorems: {error}")
        return UNUSABLE
    except BrokenPipeError:
        _let_go_of_output()  # `... | head` is no error
        return PIPE_CLOSED
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:  # Python's own exit code, 1, would say that something regressed
        return _failed(error)
    return code or 0


def _failed(error: Exception) -> int:
    """Say in a line what nobody foresaw; the exit code."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    if isinstance(error, OSError) and error.strerror:  # a full disk, a folder that went away
        _let_go_of_output()
        say(f"geolip-theorems: {': '.join(map(str, filter(None, (error.filename, error.strerror))))}")
        return UNUSABLE
    say(f"geolip-theorems: internal error, {type(error).__name__}: {reason(error)}; {REPORT}")
    return INTERNAL


def _let_go_of_output() -> None:
    """Where standard output takes nothing any more, drop what is in its buffer without a second complaint."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def build_parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    parser = Parser(prog="geolip-theorems", description=DESCRIPTION, epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for module in MODULES:
        module.add(commands)
    return parser
