"""The tables of questions 4 and 5, and the accuracies that were measured, or why none were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...drawing.blocks import Table, ends, p_text, points, share, table
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


def probe_numbers(shown: Shown) -> Table | None:
    """Accuracies: calibrated, by the script, and by the script over split seeds."""
    figures, script = accuracy_figures(shown), shown.get("script.probes") or {}
    splits = shown.get("script_accuracies") or {}
    if figures is None:
        return None
    rows = []
    for name in {**figures, **script}:
        f, old, spread = (part.get(name) or {} for part in (figures, script, splits))
        row = [name, share(f.get("value")), ends(f.get("ci95"), "share"), share(old.get("train"))]
        rows.append([*row, share(old.get("test")), share(spread.get("mean")), share(spread.get("std"))])
    columns = ("features", "accuracy", "95 % interval", "script train", "script test")
    columns += ("over split seeds", "std")
    chance = shown.get("calibrated.probes.chance")
    caption = "patch_means, input_variance: what the images tell without any model."
    caption += f" Chance {100 * chance:.1f} %." if chance else ""
    return table("Numbers of the probes", columns, rows, caption)


def lift_numbers(shown: Shown) -> Table | None:
    """What one set of features adds to another, paired."""
    found = shown.find("calibrated.lifts")
    if accuracy_figures(shown) is None or found is None:
        return None
    rows = []
    for name, f in found.items():
        row = [name, points(f["value"]), ends(f["ci95"], "points"), ends(f.get("ci95_joint"), "points")]
        rows.append([*row, p_text(f.get("p_joint")), points(f.get("smallest_detectable"))])
    columns = ("lift", "value", "95 %", "95 %, all at once", "p, Bonferroni", "detectable from")
    caption = "Detectable from: the lift whose interval would be above 0 four times in five."
    return table("Numbers of the lifts", columns, rows, caption)
