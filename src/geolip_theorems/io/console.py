"""The one kind of console the program writes to."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def console(**options: Any) -> Console:
    """A console that shows texts as they are: brackets are no markup, ``:name:`` is no picture.

    It has no colours where NO_COLOR is set. ``options``: rich's own, such as ``stderr`` or ``width``.
    """
    return Console(**{"highlight": False, "markup": False, "emoji": False, **options})
