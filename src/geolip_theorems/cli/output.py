"""What commands print: rich tables on a terminal, plain aligned text in a pipe, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from ..io.console import console
from ..io.text import defused, printable

GAP = "  "


def print_json(content: Any) -> None:
    """JSON with two spaces of indentation; numbers that are not finite are refused."""
    # ASCII, so nothing a terminal obeys; what a CI runner obeys anywhere in a line is spelled out too.
    print(json.dumps(content, indent=2, allow_nan=False, default=str).replace("##[", "##\\u005b"))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    styles: dict[str, str] | None = None,
) -> None:
    """Print a table: wrapped to the terminal, or one line per row where the output is no terminal.

    Args:
        columns: their headings.
        rows: cells, shown with ``str``; None is an empty cell.
        title: a line above.
        right: the columns of numbers.
        styles: rich's style for a cell that reads exactly so (``{"regressed": "bold red"}``).
    """
    columns, right, title = [*map(printable, columns)], [*map(printable, right)], printable(title)
    cells = [["" if cell is None else printable(cell) for cell in row] for row in rows]
    to = console()
    if not to.is_terminal:
        print_plain(columns, cells, title=title, right=right)
        return
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, column in enumerate(columns):
        justify = "right" if column in right else "left"
        table.add_column(column, justify=justify, no_wrap=index == 0 or column in right)
    for row in cells:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    to.print(table)


def print_plain(
    columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", right: Sequence[str] = ()
) -> None:
    """Columns padded with spaces, one line per row whatever its length, no escape codes."""
    lines = [list(columns), *(list(row) for row in rows)] if any(columns) else [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)] if lines else []
    if title:
        print(title)
    for line in lines:
        padded = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ]
        print(defused(GAP.join(padded).rstrip()))


def show(line: str) -> None:
    """A line of the result."""
    print(printable(line))


def say(line: str) -> None:
    """News that is no result: to standard error, so that a pipe gets results only."""
    print(printable(line), file=sys.stderr, flush=True)
