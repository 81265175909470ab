"""The report's figures of question 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing.blocks import Note
from ...drawing.charts import INTERVAL, heat_map, legend
from ...drawing.figures import figure
from ...drawing.shown import Shown
from ...drawing.style import ACCENT, INK, MSE, MUTED, WARM, drawing
from ...stats.estimators import signed_root
from . import corrected_cv

BINS = 40


@figure(
    "Spatial CV of each image",
    "q1-cv",
    needs={"squared": ("per_image/squared_cv", 1), "raw": ("per_image/raw_cv", 1)},
)
def cv_histogram(shown: Shown, squared: np.ndarray, raw: np.ndarray) -> Any:
    """Per-image spatial CV with the claim's threshold."""
    found = shown.get("calibrated.spatial_cv.corrected") or {}
    cv, raw = signed_root(squared[np.isfinite(squared)]), raw[np.isfinite(raw)]
    if not cv.size:
        return Note("The grid has one patch, so an image has no spatial CV.")
    threshold = shown.threshold(corrected_cv.name)
    null = (found.get("null") or {}).get("mean")
    drawn = [cv.min(), raw.max(), *([] if threshold is None else [threshold]), *([null] if null else [])]
    edges = np.linspace(min(drawn), max(drawn) + 1e-9, BINS + 1)
    value, ci = found.get("value"), found.get("ci95")
    with drawing(3.0) as (canvas, axes):
        corrected, plain = (np.histogram(values, edges)[0] for values in (cv, raw))
        axes.stairs(corrected, edges, fill=True, color=ACCENT, alpha=0.75, label="noise-corrected")
        axes.stairs(plain, edges, color=MUTED, lw=1.2, label="raw")
        if null:
            axes.axvline(null, color=MUTED, lw=1.1, ls=":", label="raw, shuffled")
        if threshold is not None:
            axes.axvline(threshold, color=WARM, lw=1.3, ls=(0, (4, 2)), label=f"threshold {threshold:g}")
        if value is not None:
            top = 1.06 * axes.get_ylim()[1]
            axes.plot(
                ci or [value, value], [top, top], color=INK, lw=2.4, solid_capstyle="butt", gid=INTERVAL
            )
            axes.plot(value, top, "o", color=INK, ms=4.5, label="verdict, 95 %")
        canvas.supxlabel("spatial CV of an image's error map")
        axes.set_ylabel("images")
        axes.margins(x=0.03)
        axes.locator_params(axis="x", nbins=6)
        legend(axes, ncols=2)
    alt = (
        f"Histogram of the noise-corrected spatial CV: median {np.median(cv):.3g}, from {cv.min():.3g} to "
        f"{cv.max():.3g}; threshold {threshold}"
    )
    caption = (
        f"{shown.n(cv.size)}; CV: standard deviation over mean of an image's patches. The "
        "verdict is on the root mean square of the corrected CVs, with its 95 % interval "
        f"({found.get('method') or 'no method recorded'}); single images scatter more than that interval."
    )
    return canvas, alt, caption


@figure("Error over all images", "q1-map", needs={"error": ("picture/error", 2)})
def overall_map(shown: Shown, error: np.ndarray) -> Any:
    """The mean error map with hot patches outlined."""
    spread = error.std(ddof=1) if error.size > 1 else 0.0
    hot = error > error.mean() + max(2 * spread, 1e-6 * abs(error.mean()))
    count = int(hot.sum())
    chance = shown.get("calibrated.boundaries.hot_patches") or {}
    expected = (chance.get("null") or {}).get("mean")
    beside = "" if expected is None else f" Shuffled positions give {expected:.1f} on average."
    beyond = ""
    if (above := chance.get("beyond_chance")) is not None:
        beyond = (
            " A second rule asks for chance: if positions did not matter, the highest of all patches would "
            f"stay below a limit 95 times in 100; {above} of {error.size} patches are above that limit."
        )
    drawn = heat_map(error, unit=MSE, limits=(float(error.min()), float(error.max())), boxes=hot)
    alt = f"Mean error map of {error.shape[0]} x {error.shape[1]} patches with {count} hot patches outlined"
    caption = (
        f"n = {shown.images:,} images. Hot and outlined are patches above the map's mean by two standard "
        f"deviations: {count} of {error.size}.{beside}{beyond}"
    )
    return drawn, alt, caption


@figure("Where single images are hot", "q1-hot", needs={"often": ("picture/hot_share", 2)})
def hot_map(shown: Shown, often: np.ndarray) -> Any:
    """Where single images are hot."""
    limits = (0.0, max(1.0, 100 * float(often.max())))
    caption = (
        f"n = {shown.images:,} images. A patch is hot in an image where its error is above that image's "
        "mean by two standard deviations."
    )
    alt = f"Share of images in which a patch is hot, up to {often.max():.0%}"
    return heat_map(100 * often, unit="per cent of images", limits=limits), alt, caption
