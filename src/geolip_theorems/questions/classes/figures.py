"""The report's figures of question 2."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...drawing.charts import MOST_ROWS, Dot, dot_plot, each, matrix
from ...drawing.figures import figure, interval_plot, map_tiles
from ...drawing.shown import Shown
from ...drawing.style import DIVERGING, MSE, power
from ...drawing.text import interval, number, span
from ...stats.grids import over


class ClassMaps(NamedTuple):
    """Class-mean maps, names and image counts of the classes that the companion holds."""

    maps: np.ndarray
    names: list[str]
    counts: np.ndarray


def _kept(shown: Shown) -> ClassMaps | None:
    axes = {"error": 3, "index": 1, "count": 1}
    maps, index, counts = (shown.array(f"picture/class_{name}", n) for name, n in axes.items())
    if maps is None or index is None or counts is None:
        return None
    if not len(maps) == len(index) == len(counts):
        raise ValueError("the arrays of the class-mean maps do not belong together")
    return ClassMaps(maps, [shown.class_name(i) for i in index], counts)


@figure(needs={"kept": _kept, "overall": ("picture/error", 2)})
def class_maps(shown: Shown, kept: ClassMaps, overall: np.ndarray) -> Any:
    """Class-mean error maps on one scale, and their differences from the overall map."""
    maps, names, counts = kept
    few, n = maps[:MOST_ROWS], each(counts)
    more = len(shown.classes) - len(few)
    rest = f"and {more} more classes, see the companion file" if more > 0 else ""
    means = map_tiles(
        "Mean error map of each class",
        few,
        names,
        f"{n}. {maps.shape[1]} x {maps.shape[2]} patches, rows from the top; one colour scale for all. Under "
        "each name its mean error.",
        unit=MSE,
        rest=rest,
    )
    reach = float(np.abs(few - overall).max())
    apart = map_tiles(
        "Difference from the overall map",
        few - overall,
        names,
        f"{n}. Class mean less the mean over all images; red: more error than overall, blue: less. The scale "
        "is symmetric about 0. No interval: see the cosines for what is beyond chance.",
        unit="difference in " + MSE,
        limits=(-reach, reach),
        cmap=DIVERGING,
        rest=rest,
    )
    return [means, apart]


@figure("Cosine between classes", "q2-cosine", needs={"kept": _kept})
def cosine_matrix(shown: Shown, kept: ClassMaps) -> Any:
    """Raw cosines of the class-mean maps."""
    maps, names, counts = kept
    if len(maps) < 2:
        return None
    flat = maps[:MOST_ROWS].reshape(len(names[:MOST_ROWS]), -1).astype(np.float64)
    unit = over(flat, np.linalg.norm(flat, axis=1, keepdims=True))
    cosine = unit @ unit.T
    low = float(cosine[~np.eye(len(cosine), dtype=bool)].min())
    a, b = np.unravel_index(np.argmin(cosine + 2 * np.eye(len(cosine))), cosine.shape)
    drawn = matrix(
        cosine,
        names[:MOST_ROWS],
        names[:MOST_ROWS],
        unit="cosine of class-mean error maps",
        limits=(low, 1.0),
        text=lambda v: f"{v:.3f}"[1:] if v < 0.9995 else "1",
        axis_names=("class", "class"),
    )
    alt = f"Cosine matrix of {len(cosine)} class-mean error maps; least {low:.4f}, {names[a]} and {names[b]}"
    minimum = shown.get("calibrated.class_cosine.min") or {}
    caption = (
        f"{shown.n(counts.sum())}. Raw cosines, which the noise of the class means pulls below 1. The "
        "verdict rests on the most distant pair, chosen on one half and corrected on the other: "
        f"{number(minimum.get('value'))}, 95 % interval {span(interval(minimum.get('ci95')))} "
        f"({minimum.get('method') or 'no method recorded'})."
    )
    return drawn, alt, caption


@figure(
    "How much each class loses", "q2-errors", needs={"kept": _kept, "ends": ("picture/class_interval", 2)}
)
def class_errors(shown: Shown, kept: ClassMaps, ends: np.ndarray) -> Any:
    """Mean error of each class with its interval."""
    maps, names, counts = kept
    if ends.shape != (len(maps), 2):
        return None
    means = maps.mean((1, 2), dtype=np.float64)
    factor, text = power(means)
    order = np.argsort(-means, kind="stable")[:MOST_ROWS]
    known = np.isfinite(ends).all(1)
    rows = [Dot(names[i], float(means[i]), tuple(map(float, ends[i])) if known[i] else None) for i in order]
    drawn = dot_plot(
        rows,
        unit=MSE.format(power=text),
        line=shown.get("script.overall.mean"),
        line_text="all images",
        scale=factor,
    )
    alt = f"Mean error of each class; most {means[order[0]]:.3g} for {names[order[0]]}"
    more = f" The {MOST_ROWS} largest of {len(means)} classes." if len(means) > MOST_ROWS else ""
    unit = "groups of images" if "groups of images" in str(shown.get("calibrated.error.method")) else "images"
    return drawn, alt, f"{each(counts)}; 95 % intervals by Student's t over {unit}.{more}"


@figure("Which classes stand apart", "q2-classes", needs={"per_class": "calibrated.class_cosine.per_class"})
def class_cosines(shown: Shown, per_class: dict[str, Any]) -> Any:
    """How far each class's map is from the others'."""
    known = {name: f for name, f in per_class.items() if f and f["value"] is not None}
    nearest = dict(sorted(known.items(), key=lambda item: item[1]["value"])[:MOST_ROWS])
    tested = sum((f.get("p_holm") or 1) < 0.01 for f in known.values())
    text = f" {tested} of {len(known)} classes differ from the others with Holm's p < 0.01."
    text += f" The {MOST_ROWS} most distant of {len(known)} classes." if len(known) > MOST_ROWS else ""
    look = {"n": shown.images, "unit": "mean corrected cosine with the other classes"}
    return interval_plot(shown, nearest, "Mean cosine of each class with the others", text, **look)
