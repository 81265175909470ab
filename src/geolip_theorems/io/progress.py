"""Progress on standard error: a bar on a terminal or in a notebook, nothing elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .console import console
from .text import LONGEST_NAME, printable

NOTEBOOK_REFRESH = 0.2  # seconds between two pictures of a bar in a notebook


@contextmanager
def progress(label: str, total: int, lead: str = "") -> Iterator[Callable[[int], None]]:
    """A bar with the steps done and the time left, removed at the end.

    Args:
        label: what is being done. total: steps in all.
        lead: printed before a bar on a terminal.

    Yields:
        A function that is told how many steps are done.
    """
    to = console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=to, transient=True)
    task = bar.add_task(printable(label, LONGEST_NAME), total=total)
    if to.is_jupyter:
        with _in_notebook(bar) as show:
            yield lambda done: (bar.update(task, completed=done), show())
    elif to.is_terminal:
        to.print(lead, end="")
        with bar:
            yield lambda done: bar.update(task, completed=done)
    else:
        yield lambda done: None


@contextmanager
def _in_notebook(bar: Progress) -> Iterator[Callable[[], None]]:
    """Show a bar in the cell's output; rich's own way needs ipywidgets, which a notebook may lack."""
    notebook = import_module("IPython.display")
    shown = notebook.display(bar, display_id=True)
    last = time.monotonic()

    def show() -> None:
        nonlocal last
        if time.monotonic() - last >= NOTEBOOK_REFRESH:
            last = time.monotonic()
            shown.update(bar)

    try:
        yield show
    finally:
        shown.update(notebook.HTML(""))
