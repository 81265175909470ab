"""What figures and tables of questions 4 and 5 share: the accuracies that were measured, or why none were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...drawing.shown import Shown

NO_LABELS = "The images have no labels, so there is no class to tell."


def _kept(shown: Shown) -> dict[str, Mapping[str, Any]]:
    probes = shown.get("calibrated.probes") or {}
    return {name: f for name, f in probes.items() if isinstance(f, Mapping) and "value" in f}


def accuracy_figures(shown: Shown) -> dict[str, Mapping[str, Any]] | None:
    """Every probe's accuracy, or None where not one was measured."""
    found = _kept(shown)
    return found if any(f["value"] is not None for f in found.values()) else None


def not_measured(shown: Shown) -> str:
    """Why there are no accuracies."""
    found = _kept(shown)
    if not found:
        return NO_LABELS if not shown.classes else "Probe accuracies were not measured."
    return f"Probe accuracies were not measured: {next(iter(found.values())).get('method')}."
