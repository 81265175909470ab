"""The tables of question 6, and the names its figures share with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...drawing.blocks import Table, figure_table
from ...drawing.shown import Shown

NAMES = {
    "gradient": "gradient of the input (the verdict's)",
    "contrast": "local contrast of the input",
    "variance": "variance of the input",
    "gradient_given_brightness": "gradient, brightness held fixed",
}


def contrasts(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Contrasts of regions over all images, and by class."""
    regions = dict(found.get("regions") or {})
    per_class = regions.pop("per_class", None) or {}
    return {name: figure for name, figure in regions.items() if figure}, per_class


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
