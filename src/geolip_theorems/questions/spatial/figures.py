"""The report's figures of question 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing.blocks import Figure, Note, Table, ends, p_text, table
from ...drawing.charts import heat_map, legend
from ...drawing.shown import Shown
from ...drawing.style import (
    ACCENT,
    INK,
    MSE,
    MUTED,
    WARM,
    drawing,
    svg,
)
from ...stats.estimators import signed_root
from . import corrected_cv

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
    threshold = shown.threshold(corrected_cv.name)
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
        "raw": "raw mean (script)",
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
