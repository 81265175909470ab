"""Progress on standard error: a bar on a terminal or in a notebook, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size

from tqdm import tqdm

from .text import LONGEST_NAME, printable


@contextmanager
def progress(label: str, total: int, lead: str = "") -> Iterator[Callable[[int], None]]:
    """A bar with the steps done and the time left, removed at the end; ``lead`` is printed before it.

    Yields:
        A function that is told how many of the ``total`` steps are done.
    """
    shown = sys.stderr.isatty() or "ipykernel" in sys.modules
    print(lead if shown else "", end="", file=sys.stderr)
    size = {"ncols": get_terminal_size().columns, "nrows": 20}  # of its own, tqdm shows nothing on 0 x 0
    how = {"leave": False, "file": sys.stderr, "disable": not shown, **size}
    with tqdm(desc=printable(label, LONGEST_NAME), total=total, **how) as bar:
        yield lambda done: bar.update(done - bar.n)
