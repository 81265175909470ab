"""The tables of question 6."""

from __future__ import annotations

from typing import Any

from ...drawing.blocks import Table, figure_table
from ...drawing.shown import Shown
from .naming import NAMES, contrasts


def failure_numbers(shown: Shown) -> Table | None:
    """Every figure of question 6."""
    found = shown.get("calibrated.boundaries") or {}
    regions, per_class = contrasts(found)
    named: dict[str, Any] = {"correlation: " + text: found.get(name) for name, text in NAMES.items()}
    named |= {f"region: {name}, over the image's mean": figure for name, figure in regions.items()}
    named["hot patches of the mean map"] = found.get("hot_patches")
    truth = found.get("true_boundary") or {}
    named |= {f"true boundary: {name.replace('_', ' ')}": figure for name, figure in truth.items()}
    for name, figures in per_class.items():
        named |= {f"class {name}: {contrast}": figure for contrast, figure in (figures or {}).items()}
    return figure_table("Numbers of question 6", named)
