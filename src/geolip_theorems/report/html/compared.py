"""A comparison of runs as a page of its own, in the report's look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...compare.ranking import Ranking
from ...io.text import clean
from ...results.comparison import Comparison
from ...results.record import finite, now
from .comparing import comparison_blocks, heading, ranking_blocks
from .shell import render_page, write_page

LEAD = (
    "Every figure of the later runs beside the first: paired by image where both saw the same images. A "
    "joint interval holds together with all the others; one that lies beyond the smallest change of interest "
    "in the bad direction is a regression."
)


def write_comparison(comparisons: Sequence[Comparison], out: Path, ranked: Sequence[Ranking] = ()) -> Path:
    """Write the page of one or more comparisons, whole or not at all; ``ranked`` are of all its models.

    Raises:
        InputError: ``out`` cannot be written.
    """
    content = [clean(finite(comparison.to_dict())) for comparison in comparisons]
    regressed = sum(len(comparison.regressions()) for comparison in comparisons)
    sections = [("All models", ranking_blocks(ranked))] if ranked else []
    sections += [
        (heading(found), comparison_blocks(number, found)) for number, found in enumerate(content, 1)
    ]
    text = render_page(
        "sections.html.j2",
        created=now(),
        what="comparison of runs",
        headline=f"{regressed} regressed" if regressed else "Nothing regressed",
        lead=LEAD,
        sections=sections,
    )
    return write_page(text, out, "comparison")
