"""The report's figures of question 3: which modes matter where?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing import style
from ...drawing.blocks import Tile, Tiles, ends
from ...drawing.charts import INTERVAL, MOST_ROWS, ROW, legend, named_rows
from ...drawing.figures import figure, map_tiles
from ...drawing.shown import Shown
from ..error import error

MOST_MODES = 16
ABLATION = {"ablation": "calibrated.modes.ablation"}

WITHOUT_MODEL = {"mean image": "mean_image", "no output": "no_output"}  # the names in the companion
FAR = 30  # times the least of these errors: from there on they would lie on the axis of a linear scale
ABOVE = {"xytext": (0, 2), "textcoords": "offset points", "ha": "right", "va": "bottom"}
ABOVE |= {"color": style.MUTED, "fontsize": style.SMALL}
UNSURE = 5  # per cent of resamples, from which the overall mode is said to be uncertain


def _why(shown: Shown) -> str:
    """Why modes were not ablated, or not even measured."""
    share = shown.get("calibrated.modes.share") or {}
    return share.get("method") or "the decoder was not run on single modes"


def _not_measured(shown: Shown) -> str:
    return f"Mode energies were not measured: {_why(shown)}."


def _not_ablated(shown: Shown) -> str | None:
    known = shown.find("calibrated.modes.energy")
    return known and f"The modes were not ablated, so only their energies are known: {_why(shown)}."


@figure(
    "Energy of the modes", "q3-energy", needs={"overall": "calibrated.modes.energy"}, missing=_not_measured
)
def energy_stacks(shown: Shown, overall: list[Any]) -> Any:
    """Each mode's share of the energy, by class."""
    by_class = shown.get("script.mode_energy") or {}
    rows = [("all", [f["value"] for f in overall])]
    rows += [(name, values) for name, values in by_class.items() if values][: MOST_ROWS - 1]
    modes = len(overall)
    colours = style.categories(modes)
    with style.drawing(0.8 + ROW * len(rows)) as (canvas, axes):
        for place, (_, values) in enumerate(rows):
            left = 0.0
            for k, value in enumerate(values):
                label = f"mode {k}" if place == 0 and modes <= 8 else None
                look = {"height": 0.78, "color": colours[k], "label": label, "gid": f"mode {k}"}
                axes.barh(place, 100 * value, left=100 * left, **look)
                left += value
        named_rows(axes, [style.short(name) for name, _ in rows])
        axes.set_xlim(0, 100)
        canvas.supxlabel("per cent of the sum of a patch's squares of S")
        if modes <= 8:
            legend(axes, ncols=4)
    shares = ", ".join(f"mode {k} {100 * v:.1f} %" for k, v in enumerate(rows[0][1][:8]))
    few = shown.get("script.counts.mode_images")
    caption = f"n = {shown.images:,} images for “all”"
    caption += f", the first {few:,} for the classes" if by_class else ""
    caption += ". Intervals are in the table of modes."
    caption += f" From mode 0, dark, to mode {modes - 1}, light." if modes > 8 else ""
    alt = f"Share of each mode in the energy, by class; over all images {shares}"
    return canvas, alt, caption


def without_model(shown: Shown) -> dict[str, float]:
    """Errors to read a mode's cost beside, by what gives them: the mean of the images, no output, and those
    references of the record whose error a claim asked for."""
    arrays = {name: shown.array(f"picture/{key}", 0) for name, key in WITHOUT_MODEL.items()}
    known = {name: float(found) for name, found in arrays.items() if found is not None}
    asked = {verdict["claim"] for verdict in shown.record["verdicts"] if verdict["metric"] == error.name}
    for one in shown.get("controls.references") or []:
        for found in (one[claim] for claim in asked & set(one) if one[claim]):
            known[one["name"]] = found["value"]
    return {name: value for name, value in known.items() if value}


@figure("Ablation of the modes", "q3-ablation", needs=ABLATION, missing=_not_ablated)
def ablation_curves(shown: Shown, ablation: dict[str, Any]) -> Any:
    """Error without a mode and with it alone, beside errors that need no mode."""
    cost, only = ablation["cost"], ablation["only"]
    full = shown.get("script.overall.mean")
    modes = np.arange(len(cost))
    everything = [f["value"] for f in (*cost, *only)]
    factor, text = style.power(everything)
    # Beside errors a thousand times as large a line for the full error would lie on the axis.
    far = not full or full < 1e-3 * max(everything)
    by_class = {c: [f["value"] for f in v] for c, v in (ablation.get("cost_per_class") or {}).items() if v}
    with style.drawing(3.0) as (canvas, axes):
        for i, (name, values) in enumerate([*by_class.items()][:MOST_ROWS]):
            label = "added, one class" if i == 0 else None
            look = {"lw": 0.6, "alpha": 0.4, "label": label, "gid": f"added, class {name}"}
            axes.plot(modes, factor * np.array(values), color=style.ACCENT, **look)
        for name, figures, colour, shape in (
            ("added without mode k", cost, style.ACCENT, "o"),
            ("with mode k alone", only, style.WARM, "s"),
        ):
            values = factor * np.array([f["value"] for f in figures], float)
            axes.plot(modes, values, shape + "-", color=colour, ms=4.5, label=name)
            for mode, f in enumerate(figures):
                ends = factor * np.array(f["ci95"] or (f["value"], f["value"]))
                axes.plot([mode] * 2, ends, color=colour, gid=f"{name}, {INTERVAL}")
        if not far:
            axes.axhline(factor * full, color=style.MUTED, lw=1.1, ls=":", label="all modes")
        beside = without_model(shown)
        for name, value in beside.items():
            axes.axhline(factor * value, color=style.MUTED, lw=1, ls=(0, (4, 2)), gid=name)
            axes.annotate(name, (1, factor * value), xycoords=("axes fraction", "data"), **ABOVE)
        if beside and min(everything) > 0 and max(everything) > FAR * min(beside.values()):
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_formatter("")
        axes.set_xticks(modes[:: max(1, len(modes) // 12)])
        if axes.get_yscale() == "linear":
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        canvas.supxlabel("mode k, in the model's own order")
        axes.set_ylabel(style.MSE.format(power=text))
        axes.grid(axis="y", color=style.GRID)
        legend(axes, ncols=2)
    worst = int(np.argmax([f["value"] for f in cost]))
    n, method = cost[0]["n"], cost[0]["method"]
    caption = f"{shown.n(n)}, decoded by the model itself; bars: 95 % intervals by {method}."
    caption += f" With all modes the error is {full:.3g}." if full else ""
    caption += "".join(f" {name.capitalize()}: {value:.3g}." for name, value in beside.items())
    alt = f"Error by mode, decoded without it and with it alone; mode {worst} costs most to lose"
    return canvas, alt, caption


@figure(needs=ABLATION)
def dominant_map(shown: Shown, ablation: dict[str, Any]) -> Any:
    """The mode that most often costs most, patch by patch."""
    if not ablation.get("dominant_map"):
        return None
    modes = np.array(ablation["dominant_map"], dtype=int)
    share = shown.get("calibrated.modes.share") or {}
    colours, present = style.categories(len(ablation["cost"])), np.unique(modes)
    overall, n = ablation["overall_mode"], ablation["cost"][0]["n"]
    caption = (
        f"{shown.n(n)}; {modes.shape[0]} x {modes.shape[1]} patches, rows from the top. For each patch "
        f"the mode whose loss most often adds most error; overall that is mode {overall}."
    )
    if share.get("value") is not None:
        within = ends(share.get("ci95"), "share").text
        caption += (
            f" In {100 * share['value']:.1f} % (95 % interval {within}) of the patches of single images "
        )
        caption += "it is another."
    unsure = 100 * (1 - (ablation.get("overall_shares") or {overall: 1})[overall])
    if unsure > UNSURE:
        caption += f" Which mode is the overall one is uncertain: another in {unsure:.0f} % of resamples."
    alt = f"Dominant mode of each patch; overall mode {overall}; on the map: modes "
    tile = Tile(style.category_png(modes, colours), "", alt + ", ".join(map(str, present)))
    keys = [(colours[k], f"mode {k}" + (" (overall)" if k == overall else "")) for k in present]
    return Tiles("Dominant mode", [tile], caption, keys=keys, wide=False)


@figure(needs={"cost": ("picture/cost", 3), **ABLATION})
def cost_maps(shown: Shown, cost: np.ndarray, ablation: dict[str, Any]) -> Any:
    """What losing each mode adds to the error, patch by patch."""
    few = np.moveaxis(cost[..., :MOST_MODES], -1, 0)
    rest = cost.shape[-1] - MOST_MODES
    return map_tiles(
        "Error added by losing a mode",
        few,
        [f"mode {k}" for k in range(len(few))],
        f"{shown.n(ablation['cost'][0]['n'])}; one colour scale. Under each name the mean over patches; its "
        "interval is in the table of modes.",
        unit=style.MSE,
        limits=(float(min(0.0, few.min())), float(few.max())),
        rest=f"and {rest} more modes" if rest > 0 else "",
    )
