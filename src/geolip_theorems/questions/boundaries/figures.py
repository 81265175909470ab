"""The report's figures of question 6: regions, correlations, and what single images look like."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing import style
from ...drawing.blocks import Gallery, Note, Row, Tile
from ...drawing.charts import MOST_ROWS, ROW, legend, named_rows
from ...drawing.figures import figure, interval_plot, map_tiles
from ...drawing.shown import Shown
from ...stats.grids import region_masks
from . import gradient_correlation
from .tables import NAMES, contrasts

KINDS = ("best", "median", "worst")
REGIONS = {"center": style.ACCENT, "edge": style.WARM, "corner": style.GOOD}
MOST_MODES = 16
FOUND = {"found": "calibrated.boundaries"}
SHAPES = {"kind": 1, "index": 1, "label": 1, "mse": 1, "input": 4, "recon": 4, "error": 3}


@figure("Error by region", "q6-regions", takes={"error": ("picture/error", 2)})
def region_bars(shown: Shown, error: np.ndarray | None) -> Any:
    """Mean error of center, edge and corner, by class."""
    rows: list[tuple[str, dict[str, Any]]] = []
    if error is not None:
        masks = region_masks(*error.shape)
        rows.append(("all", {name: error[mask].mean() for name, mask in masks.items() if mask.any()}))
    by_class = shown.get("script.regions") or {}
    rows += [(name, r) for name, r in by_class.items() if r.get("edge") is not None][: MOST_ROWS - 1]
    if not rows:
        return Note("Errors by region were not measured.") if not shown.classes else None
    height = 0.8 / len(REGIONS)
    factor, text = style.power([r.get(region) or 0.0 for _, r in rows for region in REGIONS])
    with style.drawing(0.8 + ROW * 1.25 * len(rows)) as (canvas, axes):
        for i, (region, colour) in enumerate(REGIONS.items()):
            values = [factor * (r.get(region) or np.nan) for _, r in rows]
            places = np.arange(len(rows)) + (i - 1) * height
            axes.barh(places, values, height=height * 0.9, color=colour, label=region)
        named_rows(axes, [style.short(name) for name, _ in rows])
        axes.grid(axis="x")
        canvas.supxlabel(style.MSE.format(power=text))
        legend(axes)
    name, first = rows[0]
    found = (f"{region} {first[region]:.3g}" for region in REGIONS if first.get(region) is not None)
    alt = f"Mean error by region and class; {name}: {', '.join(found)}"
    caption = (
        f"n = {shown.images:,} images. Corners are the four blocks a quarter of the grid wide, center the "
        "middle half. Point values; the contrasts beside have intervals."
    )
    return canvas, alt, caption


@figure("What the error goes with", "q6-correlations", needs=FOUND)
def correlations(shown: Shown, found: dict[str, Any]) -> Any:
    """Rank correlations of the error with properties of the input."""
    known = {name: found.get(key) for key, name in NAMES.items()}
    known["share of the true boundary"] = (found.get("true_boundary") or {}).get("correlation")
    threshold = shown.threshold(gradient_correlation.name)
    return interval_plot(
        shown,
        known,
        "Rank correlation of the error with",
        " Means over images.",
        unit="Spearman correlation over an image's patches",
        line=threshold or 0.0,
        line_text="0" if threshold is None else "threshold",
    )


@figure("Regions compared", "q6-contrasts", needs=FOUND)
def region_contrasts(shown: Shown, found: dict[str, Any]) -> Any:
    """How much more a region loses than another."""
    known = {name.replace("-", " − "): contrast for name, contrast in contrasts(found)[0].items()}
    unit = "difference, per cent of the image's mean error"
    look = {"unit": unit, "line": 0.0, "line_text": "no difference", "scale": 100}
    return interval_plot(shown, known, "Contrasts of regions in per cent", " Paired by image.", **look)


@figure("Error against gradient", "q6-gradient", needs={"quartiles": ("picture/error_by_gradient", 2)})
def error_by_gradient(shown: Shown, quartiles: np.ndarray) -> Any:
    """Relative error in the deciles of the gradient."""
    if quartiles.shape[1] != 3 or not np.isfinite(quartiles).all():
        return None
    deciles = np.arange(1, len(quartiles) + 1)
    with style.drawing(2.5) as (canvas, axes):
        axes.axhline(1.0, color=style.MUTED, lw=1, ls=":")
        axes.fill_between(deciles, quartiles[:, 0], quartiles[:, 2], color=style.ACCENT, alpha=0.22, lw=0)
        for name, values in (("first quartile", quartiles[:, 0]), ("third quartile", quartiles[:, 2])):
            axes.plot(deciles, values, color=style.ACCENT, lw=0.4, gid=name)
        axes.plot(deciles, quartiles[:, 1], "o-", color=style.ACCENT, ms=4, gid="median")
        axes.set_xticks(deciles)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=style.GRID)
        canvas.supxlabel("decile of the input's gradient within an image")
        axes.set_ylabel("error / image's mean error")
    alt = (
        f"Relative error by decile of gradient: {quartiles[0, 1]:.2f} in the flattest tenth of the patches, "
        f"{quartiles[-1, 1]:.2f} in the steepest"
    )
    caption = (
        f"n = {shown.images:,} images. Line: median image; band: the middle half of the images (no interval)."
    )
    return canvas, alt, caption


@figure(
    needs={name: (f"gallery/{name}", axes) for name, axes in SHAPES.items()},
    takes={"friction": ("gallery/friction", 3)},
)
def gallery(shown: Shown, friction: np.ndarray | None, **kept: np.ndarray) -> Any:
    """Best, median and worst images with reconstruction and overlays."""
    overlays = {"error": (kept["error"], style.SEQUENTIAL, "error: " + style.MSE)}
    if friction is not None:
        overlays["friction"] = (friction, style.OTHER, "friction, the largest over modes: log10")
    scales = {name: (float(m.min()), float(m.max()), cmap) for name, (m, cmap, _) in overlays.items()}
    rows = []
    columns = (kept[name] for name in ("kind", "index", "label", "mse", "input", "recon"))
    for i, (kind, index, label, mse, picture, recon) in enumerate(zip(*columns, strict=True)):
        which = KINDS[min(kind, len(KINDS) - 1)]
        about = f"the {which} image, number {index}"
        named = f"class {shown.class_name(label)}" if label >= 0 else "no label"
        tiles = [
            Tile(style.png(picture), "input", f"Input: {about}, {named}"),
            Tile(style.png(recon), "reconstruction", f"Reconstruction of {about}"),
        ]
        for name, (maps, _, _) in overlays.items():
            says = f"{name} of {about}: mean {maps[i].mean():.3g}, largest {maps[i].max():.3g}"
            tiles.append(Tile(style.overlay_png(picture, maps[i], *scales[name]), name, says.capitalize()))
        rows.append(Row(which, f"no. {index} · {named} · error {mse:.3g}", tiles))
    bars = [style.colour_bar(*ends, overlays[name][2], cmap) for name, (*ends, cmap) in scales.items()]
    caption = (
        f"Chosen from n = {shown.images:,} images by mean error. {' and '.join(overlays).capitalize()} over "
        f"the grey input, on one scale for all rows.{_shown_how(shown)}"
    )
    return Gallery("Best, median and worst images", rows, bars, caption)


def _shown_how(shown: Shown) -> str:
    """What was done to images that are no pictures of three channels from 0 to 1."""
    stretched, channels = shown.array("gallery/stretched", 0), shown.array("gallery/channels", 0)
    text = ""
    if stretched is not None and int(stretched):
        text += " The inputs leave [0, 1]: the shown range is mapped linearly to black and white."
    if channels is not None and int(channels) == 1:
        text += " Images of one channel are shown grey."
    elif channels is not None:
        text += f" Images of {int(channels)} channels are shown as their mean, in grey."
    return text


def _solver(shown: Shown, maps: np.ndarray, title: str, unit: str, about: str) -> Any:
    few = np.moveaxis(maps[..., :MOST_MODES], -1, 0)
    caption = (
        f"n = {shown.images:,} images, no intervals. {about}, roots in ascending order of the eigenvalue; "
        "one colour scale, under each name the mean."
    )
    return map_tiles(title, few, [f"root {k}" for k in range(len(few))], caption, unit=unit, cmap=style.OTHER)


@figure(needs={"maps": ("picture/friction", 3)})
def friction_maps(shown: Shown, maps: np.ndarray) -> Any:
    """Mean friction, one map per root."""
    about = "How flat the characteristic polynomial was where a root was sought"
    return _solver(shown, maps, "Friction maps", "mean of log10 friction", about)


@figure(needs={"maps": ("picture/settle", 3)})
def settle_maps(shown: Shown, maps: np.ndarray) -> Any:
    """Mean settle steps, one map per root."""
    about = "How soon the search for a root arrived"
    return _solver(shown, maps, "Settle maps", "mean steps until a root was found", about)
