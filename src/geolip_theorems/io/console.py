"""The one kind of console the program writes to, and the one kind of table on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def console(**options: Any) -> Console:
    """A console that shows texts as they are: brackets are no markup, ``:name:`` is no picture.

    It has no colours where NO_COLOR is set. ``options``: rich's own, such as ``stderr`` or ``width``.
    """
    return Console(**{"highlight": False, "markup": False, "emoji": False, **options})


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Text]],
    right: Collection[str] = (),
    wrapped: Collection[str] = (),
) -> Table:
    """A table without lines; ``right``: columns of numbers; ``wrapped``: those a narrow console folds."""
    made = Table(box=None, pad_edge=False)
    for column in columns:
        justify = "right" if column in right else "left"
        made.add_column(Text(column), justify=justify, no_wrap=column not in wrapped, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return made
