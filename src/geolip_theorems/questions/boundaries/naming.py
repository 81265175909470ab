"""What figures and tables of question 6 share: names, and regions apart from classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
