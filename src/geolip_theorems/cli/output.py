"""What commands print: rich tables on a terminal, plain aligned text in a pipe, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from ..io.console import console, table
from ..io.text import defused, printable

ENDLESS = 1_000_000  # columns of what is no terminal: no row is broken


def print_json(content: Any) -> None:
    """JSON with two spaces of indentation; numbers that are not finite are refused."""
    # ASCII, so nothing a terminal obeys; what a CI runner obeys anywhere in a line is spelled out too.
    print(json.dumps(content, indent=2, allow_nan=False, default=str).replace("##[", "##\\u005b"))


def print_rich(*parts: RenderableType) -> None:
    """Print as wide as the terminal; one line per row, without escape codes, where there is none."""
    to = console()
    if not to.is_terminal:
        to.width = ENDLESS
    with to.capture() as printed:
        for part in parts:
            to.print(part)
    for line in printed.get().splitlines():
        print(defused(line.rstrip()))


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str = "",
    right: Sequence[str] = (),
    styles: dict[str, str] | None = None,
) -> None:
    """Print a table.

    Args:
        columns: their headings; all but the first and those of numbers are folded where there is no room.
        rows: cells, shown with ``str``; None is an empty cell.
        title: a line above.
        right: the columns of numbers.
        styles: rich's style for a cell that reads exactly so (``{"regressed": "bold red"}``).
    """
    columns, right = [*map(printable, columns)], [*map(printable, right)]
    texts = [["" if cell is None else printable(cell) for cell in row] for row in rows]
    cells = [[Text(text, (styles or {}).get(text, "")) for text in row] for row in texts]
    made = table(columns, cells, right, wrapped={*columns[1:]} - {*right})
    print_rich(*([Text(printable(title), "bold")] if title else []), made)


def show(line: str) -> None:
    """A line of the result."""
    print(printable(line))


def say(line: str) -> None:
    """News that is no result: to standard error, so that a pipe gets results only."""
    print(printable(line), file=sys.stderr, flush=True)
