"""What a terminal is shown: texts as they are, tables, and progress bars."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from .text import LONGEST_NAME, printable


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


@contextmanager
def progress(label: str, total: int, lead: str = "") -> Iterator[Callable[[int], None]]:
    """A bar on a terminal or in a notebook, nothing elsewhere; removed at the end.

    ``lead`` is printed before it. Yields a function that is told how many of the ``total`` steps are done.
    """
    shown = sys.stderr.isatty() or "ipykernel" in sys.modules
    print(lead if shown else "", end="", file=sys.stderr)
    size = {"ncols": get_terminal_size().columns, "nrows": 20}  # of its own, tqdm shows nothing on 0 x 0
    how = {"leave": False, "file": sys.stderr, "disable": not shown, **size}
    with tqdm(desc=printable(label, LONGEST_NAME), total=total, **how) as bar:
        yield lambda done: bar.update(done - bar.n)
