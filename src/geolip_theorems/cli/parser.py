"""An argument parser whose help teaches and whose errors are one line with the nearest name."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ..io.errors import InputError, nearest

EXIT_CODES = """\
exit codes: 0 done, 1 something regressed, is damaged or a claim failed, 2 something given cannot be used,
3 an error of the program itself, 130 interrupted"""


class Formatter(argparse.ArgumentDefaultsHelpFormatter):
    """Paragraphs are wrapped, examples stay as written; defaults are said, but of a switch."""

    def __init__(self, prog: str, **keywords: Any) -> None:
        super().__init__(prog, **{"max_help_position": 30, **keywords})

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text:
            return "".join(indent + line for line in text.splitlines(keepends=True))
        return super()._fill_text(text, width, indent)

    def _get_help_string(self, action: argparse.Action) -> str | None:
        switch = action.nargs == 0
        return action.help if switch or action.default is None else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Errors are ``InputError``: one line that names the nearest known name and the command's help."""

    def __init__(self, **keywords: Any) -> None:
        # Abbreviated options would change their meaning when options are added.
        super().__init__(**{"allow_abbrev": False, "formatter_class": Formatter, **keywords})

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


def add_command(
    commands: argparse._SubParsersAction,
    run: Callable[[argparse.Namespace], int | None],
    name: str,
    help: str,
    example: str,
    json: bool = True,
) -> Callable[..., argparse.Action]:
    """Add a command that ``run``, whose docstring describes it, does; ``json``: with an option of this name.

    Returns:
        What adds its arguments.
    """
    lines = "\n".join(f"  {line}" for line in example.splitlines())
    description = " ".join((run.__doc__ or "").split())
    epilog = f"example:\n{lines}\n\n{EXIT_CODES}"
    parser = commands.add_parser(name, help=help, description=description, epilog=epilog)
    parser.set_defaults(run=run, parser=parser)
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    return parser.add_argument


RESULTS: dict[str, Any] = {"type": Path, "metavar": "RESULTS", "help": "a results.json"}
HTML: dict[str, Any] = {"type": Path, "metavar": "FILE", "help": "also write it as HTML"}
