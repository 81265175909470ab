"""The report's figures of question 2."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ...drawing.blocks import Tiles
from ...drawing.charts import MOST_ROWS, Dot, dot_plot, each, matrix
from ...drawing.figures import figure, map_tiles
from ...drawing.shown import Shown
from ...drawing.style import DIVERGING, MSE, power
from ...stats.grids import over

KEPT = {
    "maps": ("picture/class_error", 3),
    "index": ("picture/class_index", 1),
    "counts": ("picture/class_count", 1),
}


class ClassMaps(NamedTuple):
    """Class-mean maps, names and image counts of the classes that the companion holds."""

    maps: np.ndarray
    names: list[str]
    counts: np.ndarray

    @classmethod
    def of(cls, shown: Shown, maps: np.ndarray, index: np.ndarray, counts: np.ndarray) -> ClassMaps:
        if not len(maps) == len(index) == len(counts):
            raise ValueError("the arrays of the class-mean maps do not belong together")
        return cls(maps, [shown.class_name(i) for i in index], counts)


@figure(needs={**KEPT, "overall": ("picture/error", 2)})
def class_maps(shown: Shown, overall: np.ndarray, **kept: np.ndarray) -> Any:
    """Class-mean error maps on one scale, and their differences from the overall map."""
    maps, names, counts = ClassMaps.of(shown, **kept)
    rest = len(shown.classes) - min(len(names), MOST_ROWS)
    more = f"and {rest} more classes, see the companion file" if rest > 0 else ""
    few, n = maps[:MOST_ROWS], each(counts)
    limits = float(few.min()), float(few.max())
    factor, _ = power(limits)
    means = Tiles(
        "Mean error map of each class",
        caption=f"{n}. {maps.shape[1]} x {maps.shape[2]} patches, rows from the top; one colour scale for "
        "all. Under each name its mean error.",
        rest=more,
        **map_tiles(
            few,
            names,
            say=lambda m, name: f"Mean error map of class {name}: mean {m.mean():.3g}, largest {m.max():.3g}",
            note=lambda m: f"{factor * m.mean():.3g}",
            unit=MSE,
            limits=limits,
        ),
    )
    differences = few - overall
    reach = float(np.abs(differences).max())
    apart = Tiles(
        "Difference from the overall map",
        caption=f"{n}. Class mean less the mean over all images; red: more error than overall, blue: less. "
        "The scale is symmetric about 0. No interval: see the cosines for what is beyond chance.",
        rest=more,
        **map_tiles(
            differences,
            names,
            say=lambda d, name: (
                f"Difference of class {name} from the overall map: from {d.min():+.2g} to {d.max():+.2g}"
            ),
            unit="difference in " + MSE,
            limits=(-reach, reach),
            cmap=DIVERGING,
        ),
    )
    return [means, apart]


@figure("Cosine between classes", "q2-cosine", needs=KEPT)
def cosine_matrix(shown: Shown, **kept: np.ndarray) -> Any:
    """Raw cosines of the class-mean maps."""
    maps, names, counts = ClassMaps.of(shown, **kept)
    if len(maps) < 2:
        return None
    flat = maps[:MOST_ROWS].reshape(min(len(maps), MOST_ROWS), -1).astype(np.float64)
    unit = over(flat, np.linalg.norm(flat, axis=1, keepdims=True))
    cosine = unit @ unit.T
    low = float(cosine[~np.eye(len(cosine), dtype=bool)].min())
    a, b = np.unravel_index(np.argmin(cosine + 2 * np.eye(len(cosine))), cosine.shape)
    drawn = matrix(
        cosine,
        names[: len(cosine)],
        names[: len(cosine)],
        unit="cosine of class-mean error maps",
        limits=(low, 1.0),
        text=lambda v: f"{v:.3f}"[1:] if v < 0.9995 else "1",
        axis_names=("class", "class"),
    )
    alt = f"Cosine matrix of {len(cosine)} class-mean error maps; least {low:.4f}, {names[a]} and {names[b]}"
    minimum = shown.get("calibrated.class_cosine.min") or {}
    caption = (
        f"{shown.n(counts.sum())}. Raw cosines, which the noise of the class means pulls below "
        "1. The verdict "
        f"rests on the most distant pair, chosen on one half and corrected on the other: {_with_ci(minimum)} "
        f"({minimum.get('method') or 'no method recorded'})."
    )
    return drawn, alt, caption


@figure("How much each class loses", "q2-errors", needs={**KEPT, "ends": ("picture/class_interval", 2)})
def class_errors(shown: Shown, ends: np.ndarray, **kept: np.ndarray) -> Any:
    """Mean error of each class with its interval."""
    maps, names, counts = ClassMaps.of(shown, **kept)
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


def _with_ci(found: dict[str, Any]) -> str:
    if found.get("value") is None:
        return "not measured"
    ci = found.get("ci95")
    return f"{found['value']:.4g}" + (f", 95 % interval {ci[0]:.4g} to {ci[1]:.4g}" if ci else "")


@figure("Which classes stand apart", "q2-classes", needs={"per_class": "calibrated.class_cosine.per_class"})
def class_cosines(shown: Shown, per_class: dict[str, Any]) -> Any:
    """How far each class's map is from the others'."""
    known = {name: f for name, f in per_class.items() if f and f["value"] is not None}
    rows = sorted((Dot(name, f["value"], f["ci95"]) for name, f in known.items()), key=lambda row: row.value)
    if not rows:
        return None
    drawn = dot_plot(rows[:MOST_ROWS], unit="mean corrected cosine with the other classes")
    alt = f"Mean cosine of each class with the others; least {rows[0].value:.4g} for {rows[0].name}"
    more = f" The {MOST_ROWS} most distant of {len(rows)} classes." if len(rows) > MOST_ROWS else ""
    method = next(iter(known.values()))["method"]
    tested = sum(1 for f in per_class.values() if f and (f.get("p_holm") or 1) < 0.01)
    caption = (
        f"n = {shown.images:,} images; 95 % intervals ({method}). {tested} of {len(rows)} classes "
        f"differ from the others with Holm's p < 0.01.{more}"
    )
    return drawn, alt, caption
