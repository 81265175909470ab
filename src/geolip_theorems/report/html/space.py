"""Questions 1 and 2: does the error vary over patches, and do classes fail in different places?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...measures.spatial import signed_root
from .blocks import Figure, Note, Table, Tile, Tiles, ends, p_text, table
from .charts import MOST_ROWS, Dot, dot_plot, each, heat_map, legend, matrix
from .shown import Shown
from .style import ACCENT, DIVERGING, INK, MUTED, SEQUENTIAL, WARM, colour_bar, drawing, map_png, power, svg

MSE = "mean squared error, {power}input units²"
BINS = 40


def cv_histogram(shown: Shown) -> Any:
    """Per-image spatial CV with the claim's threshold."""
    squared, raw = shown.array("per_image/squared_cv", 1), shown.array("per_image/raw_cv", 1)
    figure_ = shown.get("calibrated.spatial_cv.corrected") or {}
    if squared is None or raw is None:
        return None
    cv, raw = signed_root(squared[np.isfinite(squared)]), raw[np.isfinite(raw)]
    if not cv.size:
        return Note("The grid has one patch, so an image has no spatial CV.")
    threshold = shown.threshold("spatial_cv")
    null = (figure_.get("null") or {}).get("mean")
    drawn = [cv.min(), raw.max(), *([] if threshold is None else [threshold]), *([null] if null else [])]
    edges = np.linspace(min(drawn), max(drawn) + 1e-9, BINS + 1)
    value, ci = figure_.get("value"), figure_.get("ci95")
    with drawing(3.0) as (figure, axes):
        axes.hist(cv, edges, color=ACCENT, alpha=0.75, label="noise-corrected")
        axes.hist(raw, edges, histtype="step", color=MUTED, lw=1.2, label="raw")
        if null:
            axes.axvline(null, color=MUTED, lw=1.1, ls=":", label="raw, residuals shuffled")
        if threshold is not None:
            axes.axvline(threshold, color=WARM, lw=1.3, ls=(0, (4, 2)), label=f"threshold {threshold:g}")
        if value is not None:
            top = 1.06 * axes.get_ylim()[1]
            axes.plot(ci or [value, value], [top, top], color=INK, lw=2.4, solid_capstyle="butt")
            axes.plot(value, top, "o", color=INK, ms=4.5, label="verdict's figure, 95 %")
        figure.supxlabel("spatial CV of an image's error map")
        axes.set_ylabel("images")
        axes.margins(x=0.03)
        axes.locator_params(axis="x", nbins=6)
        legend(axes, ncols=2)
        alt = (
            f"Histogram of the noise-corrected spatial CV: median {np.median(cv):.3g}, from "
            f"{cv.min():.3g} to "
            f"{cv.max():.3g}; threshold {threshold}"
        )
        picture = svg(figure, shown.key("q1-cv"), alt)
    caption = (
        f"n = {cv.size:,} images; CV: standard deviation over mean of an image's patches. The "
        "verdict is on the root mean square of the corrected CVs, with its 95 % interval "
        f"({figure_.get('method') or 'no method recorded'}); single images scatter more than that interval."
    )
    return Figure("Spatial CV of each image", picture, alt, caption)


def overall_map(shown: Shown) -> Any:
    """The mean error map with hot patches outlined, and where single images are hot."""
    error = shown.array("picture/error", 2)
    if error is None:
        return None
    spread = error.std(ddof=1) if error.size > 1 else 0.0
    hot = error > error.mean() + max(2 * spread, 1e-6 * abs(error.mean()))
    count = int(hot.sum())
    chance = shown.get("calibrated.boundaries.hot_patches") or {}
    expected = (chance.get("null") or {}).get("mean")
    beside = "" if expected is None else f"; shuffled positions give {expected:.1f} on average"
    above = chance.get("beyond_chance")
    beyond = "" if above is None else f" {above} positions are above the 95 % point of the shuffles' maximum."
    alt = f"Mean error map of {error.shape[0]} x {error.shape[1]} patches with {count} hot patches outlined"
    picture = heat_map(
        error,
        key=shown.key("q1-map"),
        alt=alt,
        unit=MSE,
        limits=(float(error.min()), float(error.max())),
        boxes=hot,
    )
    caption = (
        f"n = {shown.images:,} images. Outlined: {count} hot patches, above the map's mean by two standard "
        f"deviations{beside}.{beyond}"
    )
    made: list[Any] = [Figure("Error over all images", picture, alt, caption)]
    often = shown.array("picture/hot_share", 2)
    if often is not None:
        alt = f"Share of images in which a patch is hot, up to {often.max():.0%}"
        picture = heat_map(
            100 * often,
            key=shown.key("q1-hot"),
            alt=alt,
            unit="per cent of images",
            limits=(0.0, max(1.0, 100 * float(often.max()))),
        )
        caption = (
            f"n = {shown.images:,} images. A patch is hot in an image where its error is above that image's "
            "mean by two standard deviations."
        )
        made.append(Figure("Where single images are hot", picture, alt, caption))
    return made


def spatial_numbers(shown: Shown) -> Table | None:
    """Every figure of question 1."""
    figures = shown.get("calibrated.spatial_cv") or {}
    names = {
        "corrected": "corrected, root mean square (the verdict's)",
        "corrected_mean": "corrected, mean of images",
        "raw": "raw mean (seed protocol)",
        "split_half": "from the covariance of patch halves",
        "stability": "reliability of the error map",
    }
    rows = [
        [names.get(key, key.replace("_", " ")), f["value"], ends(f["ci95"]), p_text(f.get("p")), f["n"]]
        for key, f in figures.items()
        if isinstance(f, dict) and f.get("value") is not None
    ]
    return (
        table("Numbers of question 1", ("figure", "value", "95 % interval", "p", "images"), rows)
        if rows
        else None
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
    overall = shown.get("seed_protocol.overall.mean")
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
    errors = shown.get("seed_protocol.class_error") or {}
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
    regions, top = shown.get("seed_protocol.regions") or {}, shown.get("seed_protocol.top_positions") or {}
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
            table("Numbers of each class", columns, body, "Errors by the seed protocol; cosines calibrated.")
        )
    return made
