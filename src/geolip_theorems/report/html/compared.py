"""A comparison of runs as a page of its own, in the report's look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...io.text import clean
from ...results.comparison import Comparison
from ...results.record import finite, now
from .comparing import comparison_blocks, heading
from .shell import render_page, write_page


def write_comparison(comparisons: Sequence[Comparison], out: Path) -> Path:
    """Write the page of one or more comparisons, whole or not at all.

    Raises:
        InputError: ``out`` cannot be written.
    """
    content = [clean(finite(comparison.to_dict())) for comparison in comparisons]
    text = render_page(
        "comparison.html.j2",
        created=now(),
        comparisons=[
            (heading(found), comparison_blocks(number, found)) for number, found in enumerate(content, 1)
        ],
        regressed=sum(len(comparison.regressions()) for comparison in comparisons),
    )
    return write_page(text, out, "comparison")
