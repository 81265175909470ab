"""The tables of question 2."""

from __future__ import annotations

from ...drawing.blocks import Table, ends, p_text, table
from ...drawing.shown import Shown
from ...drawing.text import number


def class_numbers(shown: Shown) -> Table | None:
    """Each class: error, regions, the patches it is highest at, how far it is from the others."""
    per_class = shown.get("calibrated.class_cosine.per_class") or {}
    script = shown.get("script") or {}
    regions, top = script.get("regions") or {}, script.get("top_positions") or {}
    rows = []
    for name, error in (script.get("class_error") or {}).items():
        cosine, region, highest = (part.get(name) or {} for part in (per_class, regions, top))
        rows.append(
            [
                name,
                *(error.get(k) for k in ("mean", "std", "max")),
                *(region.get(k) for k in ("center", "edge", "corner", "edge_to_center")),
                " ".join(f"{r},{c}" for r, c in highest.get("positions") or []),
                highest.get("ratio"),
                cosine.get("value"),
                ends(cosine.get("ci95")),
                p_text(cosine.get("p_holm")),
            ]
        )
    columns = ("class", "mean error", "std over patches", "max", "center", "edge", "corner", "edge / center")
    columns += ("top patches", "top / mean", "mean cosine", "95 % interval", "Holm's p")
    raw = script.get("class_cosine") or {}
    caption = "Errors by the script, top patches by row,column; cosines calibrated."
    if raw.get("mean") is not None:
        mean, least = number(raw["mean"]), number(raw["min"])
        caption += f" The script's cosine between classes: mean {mean}, least {least}."
    return table("Numbers of each class", columns, rows, caption) if rows else None
