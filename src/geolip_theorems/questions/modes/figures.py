"""Question 3: which modes matter where?"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...drawing.blocks import Figure, Key, Note, Table, Tile, Tiles, ends, table
from ...drawing.charts import MOST_ROWS, ROW, legend
from ...drawing.shown import Shown
from ...drawing.style import (
    ACCENT,
    GRID,
    MSE,
    MUTED,
    WARM,
    categories,
    category_png,
    colour_bar,
    drawing,
    map_png,
    power,
    short,
    svg,
)

MOST_MODES = 16
NO_ABLATION = "The modes were not ablated, so only their energies are known: {why}."


def energy_stacks(shown: Shown) -> Any:
    """Each mode's share of the energy, by class."""
    overall = shown.get("calibrated.modes.energy") or []
    by_class = shown.get("script.mode_energy") or {}
    if not overall:
        return Note(f"Mode energies were not measured: {_why(shown)}.")
    rows = [("all", [f["value"] for f in overall])]
    rows += [(name, values) for name, values in by_class.items() if values][: MOST_ROWS - 1]
    modes = len(rows[0][1])
    colours = categories(modes)
    with drawing(0.8 + ROW * len(rows)) as (figure, axes):
        for place, (_, values) in enumerate(rows):
            left = 0.0
            for k, value in enumerate(values):
                label = f"mode {k}" if place == 0 and modes <= 8 else None
                axes.barh(place, 100 * value, left=100 * left, height=0.78, color=colours[k], label=label)
                left += value
        axes.set_yticks(range(len(rows)), [short(name) for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.set_xlim(0, 100)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        figure.supxlabel("per cent of the sum of a patch's squares of S")
        if modes <= 8:
            legend(axes, ncols=4)
        shares = ", ".join(f"mode {k} {100 * v:.1f} %" for k, v in enumerate(rows[0][1][:8]))
        alt = f"Share of each mode in the energy, by class; over all images {shares}"
        picture = svg(figure, shown.key("q3-energy"), alt)
    few = shown.get("script.counts.mode_images")
    caption = f"n = {shown.images:,} images for “all”" + (
        f", the first {few:,} for the classes" if by_class else ""
    )
    caption += ". Intervals are in the table of modes."
    caption += f" From mode 0, dark, to mode {modes - 1}, light." if modes > 8 else ""
    return Figure("Energy of the modes", picture, alt, caption)


def ablation_curves(shown: Shown) -> Any:
    """Error without a mode and with it alone."""
    ablation = shown.get("calibrated.modes.ablation")
    if not ablation:
        energies = shown.get("calibrated.modes.energy")
        return Note(NO_ABLATION.format(why=_why(shown))) if energies else None
    cost, only = ablation["cost"], ablation["only"]
    full = shown.get("script.overall.mean")
    modes = np.arange(len(cost))
    everything = [f["value"] for f in (*cost, *only)]
    factor, text = power(everything)
    # Beside errors a thousand times as large a line for the full error would lie on the axis.
    far = not full or full < 1e-3 * max(everything)
    with drawing(3.0) as (figure, axes):
        classes = [[f["value"] for f in v] for v in (ablation.get("cost_per_class") or {}).values() if v][
            :MOST_ROWS
        ]
        for i, values in enumerate(classes):
            label = "added, one class" if i == 0 else None
            axes.plot(modes, factor * np.array(values), color=ACCENT, lw=0.6, alpha=0.4, label=label)
        for name, figures, colour, shape in (
            ("added by losing mode k", cost, ACCENT, "o"),
            ("with mode k alone", only, WARM, "s"),
        ):
            values = factor * np.array([f["value"] for f in figures], float)
            ci = factor * np.array([f["ci95"] or (f["value"], f["value"]) for f in figures], float)
            reach = np.abs(np.stack([values - ci[:, 0], ci[:, 1] - values]))
            axes.errorbar(
                modes, values, reach, fmt=shape + "-", color=colour, ms=4.5, capsize=2.5, label=name
            )
        if not far:
            axes.axhline(factor * full, color=MUTED, lw=1.1, ls=":", label="all modes")
        axes.set_xticks(modes[:: max(1, len(modes) // 12)])
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        figure.supxlabel("mode k, in the model's own order")
        axes.set_ylabel(MSE.format(power=text))
        axes.grid(axis="y", color=GRID)
        legend(axes, ncols=2)
        worst = int(np.argmax([f["value"] for f in cost]))
        alt = f"Error by mode, decoded without it and with it alone; mode {worst} costs most to lose"
        picture = svg(figure, shown.key("q3-ablation"), alt)
    n, method = cost[0]["n"], cost[0]["method"]
    caption = f"n = {n:,} images, decoded by the model itself; bars: 95 % intervals by {method}."
    caption += f" With all modes the error is {full:.3g}." if full else ""
    return Figure("Ablation of the modes", picture, alt, caption)


def _why(shown: Shown) -> str:
    """Why modes were not ablated, or not even measured."""
    share = shown.get("calibrated.modes.share") or {}
    return share.get("method") or "the decoder was not run on single modes"


def dominant_map(shown: Shown) -> Any:
    """The mode that most often costs most, patch by patch."""
    ablation = shown.get("calibrated.modes.ablation") or {}
    if not ablation.get("dominant_map"):
        return None
    modes = np.array(ablation["dominant_map"], dtype=int)
    share = shown.get("calibrated.modes.share") or {}
    count = len(ablation["cost"])
    colours, present = categories(count), np.unique(modes)
    overall = ablation["overall_mode"]
    alt = f"Dominant mode of each patch; overall mode {overall}; on the map: modes " + ", ".join(
        map(str, present)
    )
    ci = share.get("ci95")
    within = f" (95 % interval {100 * ci[0]:.1f} to {100 * ci[1]:.1f} %)" if ci else ""
    size = f"{modes.shape[0]} x {modes.shape[1]} patches, rows from the top"
    caption = (
        f"n = {cost_images(shown):,} images; {size}. For each patch the mode whose loss most often adds most "
        f"error; overall that is mode {overall}."
    )
    if share.get("value") is not None:
        part = f"{100 * share['value']:.1f} %{within}"
        caption += f" In {part} of the patches of single images it is another."
    keys = [Key(colours[k], f"mode {k}" + (" (overall)" if k == overall else "")) for k in present]
    tile = Tile(category_png(modes, colours), "", alt)
    return Tiles("Dominant mode", [tile], caption, keys=keys, wide=False)


def cost_images(shown: Shown) -> int:
    """How many images were ablated."""
    return int(shown.get("calibrated.modes.ablation")["cost"][0]["n"])


def cost_maps(shown: Shown) -> Any:
    """What losing each mode adds to the error, patch by patch."""
    cost = shown.array("picture/cost", 3)
    if cost is None:
        return None
    few = cost[..., :MOST_MODES]
    low, high = float(min(0.0, few.min())), float(few.max())
    factor, _ = power((low, high))
    tiles = [
        Tile(
            map_png(few[..., k], low, high),
            f"mode {k}",
            f"Error added by losing mode {k}: mean {few[..., k].mean():.3g}",
            f"{factor * few[..., k].mean():.3g}",
        )
        for k in range(few.shape[-1])
    ]
    rest = f"and {cost.shape[-1] - MOST_MODES} more modes" if cost.shape[-1] > MOST_MODES else ""
    caption = (
        f"n = {cost_images(shown):,} images; one colour scale. Under each name the mean over patches; its "
        "interval is "
        "in the table of modes."
    )
    return Tiles("Error added by losing a mode", tiles, caption, colour_bar(low, high, MSE), rest=rest)


def mode_numbers(shown: Shown) -> Table | None:
    """Every mode's energy, cost and error alone."""
    modes = shown.get("calibrated.modes") or {}
    energy, ablation = modes.get("energy") or [], modes.get("ablation") or {}
    rows = []
    for k, figure in enumerate(energy):
        row: list[Any] = [f"mode {k}", figure["value"], ends(figure["ci95"])]
        for part in ("cost", "only"):
            found = (ablation.get(part) or [{}] * len(energy))[k]
            row += [found.get("value"), ends(found.get("ci95"))]
        rows.append(row)
    columns = (
        "mode",
        "energy",
        "95 % interval",
        "added by its loss",
        "95 % interval",
        "alone",
        "95 % interval",
    )
    rank = ablation.get("energy_rank") or {}
    caption = ""
    if rank.get("value") is not None:
        caption = f"Rank correlation of cost with energy over patches and modes: {rank['value']:.3g}"
        caption += f" ({rank['ci95'][0]:.3g} to {rank['ci95'][1]:.3g})." if rank.get("ci95") else "."
    return table("Numbers of each mode", columns, rows, caption) if rows else None
