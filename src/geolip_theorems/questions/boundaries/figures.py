"""Question 6: where does it fail? Regions, correlations, and what single images look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...drawing.blocks import Figure, Gallery, Note, Row, Stack, Tile, Tiles, ends, p_text, table
from ...drawing.charts import MOST_ROWS, ROW, Dot, dot_plot, legend
from ...drawing.shown import Shown
from ...drawing.style import (
    ACCENT,
    GOOD,
    GRID,
    MSE,
    MUTED,
    OTHER,
    SEQUENTIAL,
    WARM,
    colour_bar,
    drawing,
    map_png,
    overlay_png,
    picture_png,
    power,
    short,
    svg,
)
from ...stats.grids import region_masks
from . import gradient_correlation

KINDS = ("best", "median", "worst")
REGIONS = {"center": ACCENT, "edge": WARM, "corner": GOOD}
MOST_MODES = 16
NAMES = {
    "gradient": "gradient of the input (the verdict's)",
    "contrast": "local contrast of the input",
    "variance": "variance of the input",
    "gradient_given_brightness": "gradient, brightness held fixed",
}


def region_bars(shown: Shown) -> Any:
    """Mean error of center, edge and corner, by class."""
    regions = {
        name: r for name, r in (shown.get("script.regions") or {}).items() if r.get("edge") is not None
    }
    error = shown.array("picture/error", 2)
    if not regions and error is None:
        return Note("Errors by region were not measured.") if not shown.classes else None
    rows: list[tuple[str, dict[str, Any]]] = [] if error is None else [("all", _regions(error))]
    rows += list(regions.items())[: MOST_ROWS - 1]
    height = 0.8 / len(REGIONS)
    factor, text = power([r.get(region) or 0.0 for _, r in rows for region in REGIONS])
    with drawing(0.8 + ROW * 1.25 * len(rows)) as (figure, axes):
        for i, (region, colour) in enumerate(REGIONS.items()):
            values = [factor * (r.get(region) or np.nan) for _, r in rows]
            places = np.arange(len(rows)) + (i - 1) * height
            axes.barh(places, values, height=height * 0.9, color=colour, label=region)
        axes.set_yticks(range(len(rows)), [short(name) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="x")
        figure.supxlabel(MSE.format(power=text))
        legend(axes)
        first = rows[0][1]
        alt = f"Mean error by region and class; {rows[0][0]}: " + ", ".join(
            f"{region} {first[region]:.3g}" for region in REGIONS if first.get(region) is not None
        )
        picture = svg(figure, shown.key("q6-regions"), alt)
    caption = (
        f"n = {shown.images:,} images. Corners are the four blocks a quarter of the grid wide, center the "
        "middle half. "
        "Point values; the contrasts beside have intervals."
    )
    return Figure("Error by region", picture, alt, caption)


def _regions(error: np.ndarray) -> dict[str, float | None]:
    return {n: float(error[m].mean()) if m.any() else None for n, m in region_masks(*error.shape).items()}


def correlations(shown: Shown) -> Any:
    """What the error goes with, and how regions differ."""
    found = shown.get("calibrated.boundaries") or {}
    known = {k: found[k] for k in NAMES if (found.get(k) or {}).get("value") is not None}
    rows = [Dot(NAMES[k], figure["value"], figure["ci95"]) for k, figure in known.items()]
    truth = (found.get("true_boundary") or {}).get("correlation")
    if truth and truth.get("value") is not None:
        rows.append(Dot("share of the true boundary", truth["value"], truth["ci95"]))
    made: list[Any] = []
    if rows:
        threshold = shown.threshold(gradient_correlation.name)
        alt = "Rank correlation of the error with: " + "; ".join(f"{r.name} {r.value:.3g}" for r in rows)
        drawn = dot_plot(
            rows,
            key=shown.key("q6-correlations"),
            alt=alt,
            unit="Spearman correlation over an image's patches",
            line=threshold or 0.0,
            line_text="0" if threshold is None else "threshold",
        )
        first = next(iter(known.values()), truth)
        caption = f"n = {first['n']:,} images; mean over images, 95 % intervals by {first['method']}."
        made.append(Figure("What the error goes with", drawn, alt, caption))
    regions, _ = _contrasts(found)
    contrasts = [
        Dot(name.replace("-", " − "), f["value"], f["ci95"])
        for name, f in regions.items()
        if f.get("value") is not None
    ]
    if contrasts:
        alt = "Contrasts of regions: " + "; ".join(f"{r.name} {100 * r.value:+.0f} %" for r in contrasts)
        drawn = dot_plot(
            contrasts,
            key=shown.key("q6-contrasts"),
            alt=alt,
            unit="difference, per cent of the image's mean error",
            line=0.0,
            line_text="no difference",
            scale=100,
        )
        first = next(iter(regions.values()))
        caption = f"n = {first['n']:,} images, paired; 95 % intervals by {first['method']}."
        made.append(Figure("Regions compared", drawn, alt, caption))
    return [Stack(made)] if made else []


def _contrasts(found: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Contrasts of regions over all images, and by class."""
    regions = dict(found.get("regions") or {})
    per_class = regions.pop("per_class", None) or {}
    return {name: figure for name, figure in regions.items() if figure}, per_class


def error_by_gradient(shown: Shown) -> Any:
    """Relative error in the deciles of the gradient."""
    quartiles = shown.array("picture/error_by_gradient", 2)
    if quartiles is None or quartiles.shape[1] != 3 or not np.isfinite(quartiles).all():
        return None
    deciles = np.arange(1, len(quartiles) + 1)
    with drawing(2.5) as (figure, axes):
        axes.axhline(1.0, color=MUTED, lw=1, ls=":")
        axes.fill_between(deciles, quartiles[:, 0], quartiles[:, 2], color=ACCENT, alpha=0.22, lw=0)
        axes.plot(deciles, quartiles[:, 1], "o-", color=ACCENT, ms=4)
        axes.set_xticks(deciles)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", color=GRID)
        figure.supxlabel("decile of the input's gradient within an image")
        axes.set_ylabel("error / image's mean error")
        alt = (
            f"Relative error by decile of gradient: {quartiles[0, 1]:.2f} in the flattest tenth of the "
            "patches, "
            f"{quartiles[-1, 1]:.2f} in the steepest"
        )
        picture = svg(figure, shown.key("q6-gradient"), alt)
    caption = (
        f"n = {shown.images:,} images. Line: median image; band: the middle half of the images (no interval)."
    )
    return Figure("Error against gradient", picture, alt, caption)


def gallery(shown: Shown) -> Any:
    """Best, median and worst images with reconstruction and overlays."""
    take = {name: shown.array(f"gallery/{name}", n) for name, n in SHAPES.items()}
    friction = take.pop("friction")
    if any(value is None for value in take.values()):
        return None
    count = len(take["kind"])
    if any(len(value) != count for value in (*take.values(), *([] if friction is None else [friction]))):
        return Note("The gallery's arrays do not belong together; run the suite again.")
    error = take["error"]
    low, high = float(error.min()), float(error.max())
    heads, bars = ["input", "reconstruction", "error"], [colour_bar(low, high, "error: " + MSE)]
    about_scales = "Error lies over the grey input, on one scale for all rows."
    if friction is not None:
        cold, hard = float(friction.min()), float(friction.max())
        heads.append("friction")
        bars.append(colour_bar(cold, hard, "friction: log10", OTHER))
        about_scales = (
            "Error and friction lie over the grey input, each on one scale for all rows; friction is the "
            "largest over modes."
        )
    rows = []
    for i in range(count):
        label = int(take["label"][i])
        named = f"class {shown.classes[label]}" if 0 <= label < len(shown.classes) else "no label"
        kind = KINDS[min(int(take["kind"][i]), len(KINDS) - 1)]
        about = f"{kind} image, number {int(take['index'][i])}"
        tiles = [
            Tile(picture_png(take["input"][i]), "input", f"Input: {about}, {named}"),
            Tile(picture_png(take["recon"][i]), "reconstruction", f"Reconstruction of the {about}"),
            Tile(
                overlay_png(take["input"][i], error[i], low, high, SEQUENTIAL),
                "error",
                f"Error of the {about}: mean {error[i].mean():.3g}, largest {error[i].max():.3g}",
            ),
        ]
        if friction is not None:
            picture = overlay_png(take["input"][i], friction[i], cold, hard, OTHER)
            span = f"log10 from {friction[i].min():.2f} to {friction[i].max():.2f}"
            tiles.append(Tile(picture, "friction", f"Friction of the {about}: {span}"))
        rows.append(
            Row(kind, f"no. {int(take['index'][i])} · {named} · error {float(take['mse'][i]):.3g}", tiles)
        )
    stretched, channels = shown.array("gallery/stretched", 0), shown.array("gallery/channels", 0)
    caption = f"Chosen from n = {shown.images:,} images by mean error. {about_scales}"
    if stretched is not None and int(stretched):
        caption += " The inputs leave [0, 1]: the shown range is mapped linearly to black and white."
    if channels is not None:
        caption += (
            " Images of one channel are shown grey."
            if int(channels) == 1
            else f" Images of {int(channels)} channels are shown as their mean, in grey."
        )
    return Gallery("Best, median and worst images", heads, rows, bars, caption)


SHAPES = {"kind": 1, "index": 1, "label": 1, "mse": 1, "input": 4, "recon": 4, "error": 3, "friction": 3}


def solver_maps(shown: Shown) -> Any:
    """Mean friction and settle maps, a mode each."""
    made = []
    for name, title, unit, about in (
        (
            "friction",
            "Friction",
            "mean of log10 friction",
            "how flat the characteristic polynomial was where a root was sought",
        ),
        ("settle", "Settle", "mean steps until a root was found", "how soon the search for a root arrived"),
    ):
        maps = shown.array(f"picture/{name}", 3)
        if maps is None:
            continue
        few = maps[..., :MOST_MODES]
        low, high = float(few.min()), float(few.max())
        tiles = [
            Tile(
                map_png(few[..., k], low, high, OTHER),
                f"root {k}",
                f"{title} of root {k}: mean {few[..., k].mean():.3g}",
                f"{few[..., k].mean():.3g}",
            )
            for k in range(few.shape[-1])
        ]
        caption = (
            f"n = {shown.images:,} images, no intervals. {about[0].upper()}{about[1:]}, roots in "
            "ascending order of the "
            "eigenvalue; one colour scale, under each name the mean."
        )
        made.append(Tiles(f"{title} maps", tiles, caption, colour_bar(low, high, unit, OTHER)))
    return made


def failure_numbers(shown: Shown) -> Any:
    """Every figure of question 6."""
    found = shown.get("calibrated.boundaries") or {}
    rows = []

    def add(name: str, figure: Any) -> None:
        if isinstance(figure, dict) and figure.get("value") is not None:
            rows.append(
                [name, figure["value"], ends(figure.get("ci95")), p_text(figure.get("p")), figure["n"]]
            )

    for name, text in NAMES.items():
        add("correlation: " + text, found.get(name))
    regions, per_class = _contrasts(found)
    for name, figure in regions.items():
        add(f"region: {name}, over the image's mean", figure)
    for name, figure in per_class.items():
        for contrast, inner in (figure or {}).items():
            add(f"class {name}: {contrast}", inner)
    add("hot patches of the mean map", found.get("hot_patches"))
    for name, figure in (found.get("true_boundary") or {}).items():
        add(f"true boundary: {name.replace('_', ' ')}", figure)
    return (
        table("Numbers of question 6", ("figure", "value", "95 % interval", "p", "images"), rows)
        if rows
        else None
    )
