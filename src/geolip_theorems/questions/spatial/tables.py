"""The tables of question 1."""

from __future__ import annotations

from ...drawing.blocks import Table, figure_table, table
from ...drawing.shown import Shown

NAMES = {
    "corrected": "corrected, root mean square (the verdict's)",
    "corrected_mean": "corrected, mean of images",
    "raw": "raw mean (script)",
    "split_half": "from the covariance of patch halves",
    "stability": "reliability of the error map",
}


def spatial_numbers(shown: Shown) -> Table | None:
    """Every figure of question 1."""
    figures = shown.get("calibrated.spatial_cv") or {}
    named = {NAMES.get(key, key.replace("_", " ")): found for key, found in figures.items()}
    return figure_table("Numbers of question 1", named)


def script_numbers(shown: Shown) -> Table | None:
    """The script's figures over all images."""
    script = shown.get("script") or {}
    cv, overall, counts = (script.get(key) or {} for key in ("spatial_cv", "overall", "counts"))
    keys = ("mean", "median", "min", "max", "std", "hot_patches")
    columns = ("figure", "mean", "median", "min", "max", "std over patches", "hot patches")
    parts = (("spatial CV per image", cv), ("overall error map", overall))
    rows = [[name, *map(found.get, keys)] for name, found in parts if found]
    caption = (
        f"{counts.get('images', 0):,} images, the CV over the first {counts.get('maps', 0):,}. Hot: above "
        "the mean over patches by two standard deviations."
    )
    return table("The script's error maps", columns, rows, caption) if rows else None
