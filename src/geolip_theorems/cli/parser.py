"""An argument parser whose help teaches and whose errors are one line with the nearest name."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any, NoReturn

from ..io.errors import InputError, nearest

EXIT_CODES = """\
exit codes: 0 done, 1 something regressed or is damaged, 2 something given cannot be used, 3 an error of the
program itself, 130 interrupted"""


class TeachingFormatter(argparse.HelpFormatter):
    """Paragraphs are wrapped; a text of several lines, as an example, stays as it is written."""

    def __init__(self, prog: str, **keywords: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **keywords})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)


class DefaultsFormatter(argparse.ArgumentDefaultsHelpFormatter, TeachingFormatter):
    """The same with every option's default; a switch has none worth saying."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is False else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Errors are ``InputError``: one line that names the nearest known name and the command's help."""

    def __init__(self, **keywords: Any) -> None:
        # Abbreviated options would change their meaning when options are added.
        super().__init__(**{"allow_abbrev": False, **keywords})

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise InputError(f"{command + ': ' if command else ''}{message} (see {self.prog} --help)")

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:
        options, rest = self.parse_known_args(args, namespace)
        if rest:
            parser = getattr(options, "parser", self)
            if not rest[0].startswith("-"):
                parser.error(f"unexpected argument {rest[0]!r}")
            known = [flag for flag in parser._option_string_actions if flag.startswith("--")]
            parser.error(f"unknown option {rest[0]!r}; {nearest(rest[0].partition('=')[0], known)}")
        return options

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        kind = "command" if isinstance(action, argparse._SubParsersAction) else action.dest.replace("_", "-")
        self.error(f"unknown {kind} {value!r}; {nearest(str(value), map(str, action.choices))}")


def gigabytes(text: str) -> float:
    """A size in 10^9 bytes, 0 or more and finite, for ``type=``."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError
    return value


gigabytes.__name__ = "number of gigabytes"  # what argparse calls it in its error


def add_command(
    commands: argparse._SubParsersAction,
    name: str,
    run: Any,
    *,
    help: str,
    description: str,
    example: str,
    codes: str = "",
    formatter: type[argparse.HelpFormatter] = TeachingFormatter,
) -> argparse.ArgumentParser:
    """A command's parser: what it does, an example, its exit codes; ``run(options)`` does it."""
    lines = "\n".join(f"  {line}" for line in example.strip().splitlines())
    parser = commands.add_parser(
        name,
        help=help,
        description=description,
        epilog=f"example:\n{lines}\n\n{codes or EXIT_CODES}",
        formatter_class=formatter,
    )
    parser.set_defaults(run=run, parser=parser)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """The option ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
