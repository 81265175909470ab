"""The report's figures of question 2."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing.blocks import Figure, Tile, Tiles, ends, p_text, table
from ...drawing.charts import MOST_ROWS, Dot, dot_plot, each, matrix
from ...drawing.shown import Shown
from ...drawing.style import (
    DIVERGING,
    MSE,
    SEQUENTIAL,
    colour_bar,
    map_png,
    power,
)


def _class_maps(shown: Shown) -> tuple[np.ndarray, list[str], np.ndarray] | None:
    """Class-mean maps, names and image counts of the classes that the companion holds."""
    maps, index = shown.array("picture/class_error", 3), shown.array("picture/class_index", 1)
    counts = shown.array("picture/class_count", 1)
    if maps is None or index is None or counts is None or not len(maps) == len(index) == len(counts):
        return None
    names = shown.classes
    return maps, [names[i] if 0 <= i < len(names) else str(i) for i in index], counts


def class_maps(shown: Shown) -> Any:
    """Class-mean error maps on one scale, and their differences from the overall map."""
    found, overall = _class_maps(shown), shown.array("picture/error", 2)
    if found is None or overall is None:
        return None
    maps, names, counts = found
    rest = len(shown.classes) - min(len(names), MOST_ROWS)
    few = slice(0, MOST_ROWS)
    low, high = float(maps[few].min()), float(maps[few].max())
    factor, _ = power((low, high))
    n = each(counts)
    size = f"{maps.shape[1]} x {maps.shape[2]} patches, rows from the top"
    more = f"and {rest} more classes, see the companion file" if rest > 0 else ""
    tiles = [
        Tile(
            map_png(m, low, high),
            name,
            f"Mean error map of class {name}: mean {m.mean():.3g}, largest {m.max():.3g}",
            f"{factor * m.mean():.3g}",
        )
        for m, name in zip(maps[few], names, strict=False)
    ]
    means = Tiles(
        "Mean error map of each class",
        tiles,
        f"{n}. {size}; one colour scale for all. Under each name its mean error.",
        colour_bar(low, high, MSE),
        rest=more,
    )
    differences = maps[few] - overall
    reach = float(np.abs(differences).max())
    tiles = [
        Tile(
            map_png(d, -reach, reach, DIVERGING),
            name,
            f"Difference of class {name} from the overall map: from {d.min():+.2g} to {d.max():+.2g}",
        )
        for d, name in zip(differences, names, strict=False)
    ]
    apart = Tiles(
        "Difference from the overall map",
        tiles,
        f"{n}. Class mean less the mean over all images; red: more error than overall, blue: less. The "
        "scale is "
        "symmetric about 0. No interval: see the cosines for what is beyond chance.",
        colour_bar(-reach, reach, "difference in " + MSE, DIVERGING, signed=True),
        rest=more,
    )
    return [means, apart]


def cosine_matrix(shown: Shown) -> Any:
    """Raw cosines of the class-mean maps."""
    found = _class_maps(shown)
    if found is None or len(found[0]) < 2:
        return None
    maps, names, counts = found
    flat = maps[:MOST_ROWS].reshape(min(len(maps), MOST_ROWS), -1).astype(np.float64)
    unit = flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
    cosine = unit @ unit.T
    off = cosine[~np.eye(len(cosine), dtype=bool)]
    low = float(off.min())
    a, b = np.unravel_index(np.argmin(cosine + 2 * np.eye(len(cosine))), cosine.shape)
    alt = f"Cosine matrix of {len(cosine)} class-mean error maps; least {low:.4f}, {names[a]} and {names[b]}"
    picture = matrix(
        cosine,
        names[: len(cosine)],
        names[: len(cosine)],
        key=shown.key("q2-cosine"),
        alt=alt,
        unit="cosine of class-mean error maps",
        limits=(low, 1.0),
        text=lambda v: f"{v:.3f}"[1:] if v < 0.9995 else "1",
        axis_names=("class", "class"),
        cmap=SEQUENTIAL,
    )
    minimum = shown.get("calibrated.class_cosine.min") or {}
    caption = (
        f"n = {int(counts.sum()):,} images. Raw cosines, which the noise of the class means pulls below "
        "1. The verdict "
        f"rests on the most distant pair, chosen on one half and corrected on the other: {_with_ci(minimum)} "
        f"({minimum.get('method') or 'no method recorded'})."
    )
    return Figure("Cosine between classes", picture, alt, caption)


def class_errors(shown: Shown) -> Any:
    """Mean error of each class with its interval."""
    found, ends_ = _class_maps(shown), shown.array("picture/class_interval", 2)
    if found is None or ends_ is None or ends_.shape != (len(found[0]), 2):
        return None
    maps, names, counts = found
    overall = shown.get("script.overall.mean")
    means = maps.mean((1, 2), dtype=np.float64)
    factor, text = power(means)
    order = np.argsort(-means, kind="stable")[:MOST_ROWS]
    intervals = [
        tuple(map(float, ends_[i])) if np.isfinite(ends_[i]).all() else None for i in range(len(means))
    ]
    rows = [Dot(names[i], float(means[i]), intervals[i]) for i in order]
    alt = f"Mean error of each class; most {means[order[0]]:.3g} for {names[order[0]]}"
    drawn = dot_plot(
        rows,
        key=shown.key("q2-errors"),
        alt=alt,
        unit=MSE.format(power=text),
        line=overall,
        line_text="all images",
        scale=factor,
    )
    more = f" The {MOST_ROWS} largest of {len(means)} classes." if len(means) > MOST_ROWS else ""
    unit = "groups of images" if shown.grouped else "images"
    caption = f"{each(counts)}; 95 % intervals by Student's t over {unit}.{more}"
    return Figure("How much each class loses", drawn, alt, caption)


def _with_ci(figure: dict[str, Any]) -> str:
    if figure.get("value") is None:
        return "not measured"
    ci = figure.get("ci95")
    return f"{figure['value']:.4g}" + (f", 95 % interval {ci[0]:.4g} to {ci[1]:.4g}" if ci else "")


def class_figures(shown: Shown) -> Any:
    """How far each class's map is from the others'."""
    per_class = shown.get("calibrated.class_cosine.per_class") or {}
    errors = shown.get("script.class_error") or {}
    made: list[Any] = []
    rows = [Dot(name, f["value"], f["ci95"]) for name, f in per_class.items() if f and f["value"] is not None]
    rows.sort(key=lambda row: row.value)
    if rows:
        alt = f"Mean cosine of each class with the others; least {rows[0].value:.4g} for {rows[0].name}"
        drawn = dot_plot(
            rows[:MOST_ROWS],
            key=shown.key("q2-classes"),
            alt=alt,
            unit="mean corrected cosine with the other classes",
        )
        more = f" The {MOST_ROWS} most distant of {len(rows)} classes." if len(rows) > MOST_ROWS else ""
        method = next(f["method"] for f in per_class.values() if f and f["value"] is not None)
        tested = sum(1 for f in per_class.values() if f and (f.get("p_holm") or 1) < 0.01)
        caption = (
            f"n = {shown.images:,} images; 95 % intervals ({method}). {tested} of {len(rows)} classes "
            f"differ from the others with Holm's p < 0.01.{more}"
        )
        made.append(Figure("Which classes stand apart", drawn, alt, caption))
    regions, top = shown.get("script.regions") or {}, shown.get("script.top_positions") or {}
    body = []
    for name, error in errors.items():
        places = (top.get(name) or {}).get("positions") or []
        cosine, region = per_class.get(name) or {}, regions.get(name) or {}
        body.append(
            [
                name,
                *(error.get(k) for k in ("mean", "std", "max")),
                *(region.get(k) for k in ("center", "edge", "corner", "edge_to_center")),
                " ".join(f"{r},{c}" for r, c in places),
                cosine.get("value"),
                ends(cosine.get("ci95")),
                p_text(cosine.get("p_holm")),
            ]
        )
    if body:
        columns = (
            "class",
            "mean error",
            "std over patches",
            "max",
            "center",
            "edge",
            "corner",
            "edge / center",
        )
        columns += ("highest at row,column", "mean cosine", "95 % interval", "Holm's p")
        made.append(
            table("Numbers of each class", columns, body, "Errors by the script; cosines calibrated.")
        )
    return made
