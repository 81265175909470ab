"""The tables of question 3."""

from __future__ import annotations

from typing import Any

from ...drawing.blocks import Table, ends, table
from ...drawing.shown import Shown

MOST_MODES = 8  # of a class


def mode_numbers(shown: Shown) -> Table | None:
    """Every mode's energy, cost and error alone."""
    modes = shown.get("calibrated.modes") or {}
    energy, ablation = modes.get("energy") or [], modes.get("ablation") or {}
    rows = []
    for k, figure in enumerate(energy):
        row: list[Any] = [f"mode {k}", figure["value"], ends(figure["ci95"])]
        for part in ("cost", "only"):
            found = (ablation.get(part) or [{}] * len(energy))[k]
            row += [found.get("value"), ends(found.get("ci95"))]
        rows.append(row)
    columns = ("mode", "energy", "95 % interval", "added by its loss", "95 % interval", "alone")
    rank = ablation.get("energy_rank") or {}
    caption = ""
    if rank.get("value") is not None:
        caption = f"Rank correlation of cost with energy over patches and modes: {rank['value']:.3g}"
        caption += f" ({rank['ci95'][0]:.3g} to {rank['ci95'][1]:.3g})." if rank.get("ci95") else "."
    return table("Numbers of each mode", (*columns, "95 % interval"), rows, caption) if rows else None


def class_energies(shown: Shown) -> Table | None:
    """The share of each mode in the energy, per class, by the script."""
    energies = shown.find("script.mode_energy")
    known = [values for values in (energies or {}).values() if values is not None]
    if not known:
        return None
    errors = shown.get("script.full_mse") or {}
    modes = min(len(known[0]), MOST_MODES)
    rows = [
        [name, *(values or [None] * modes)[:modes], errors.get(name)] for name, values in energies.items()
    ]
    columns = ("class", *(f"mode {k}" for k in range(modes)), "full MSE")
    images = shown.get("script.counts.mode_images") or 0
    return table("The script's energy of the modes", columns, rows, f"The first {images:,} images.")
