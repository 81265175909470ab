"""The kinds of charts that several questions share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from .style import ACCENT, MUTED, PAPER, SEQUENTIAL, SMALL, WARM, WIDTH, drawing, ink_on, power, short

ROW = 0.23  # inches per row of a chart with a name in each
VALUE, INTERVAL, OTHER, OTHERS = "value", "95 % interval", "script", "script, range"  # series
MOST_ROWS = 20  # classes in a figure; more are counted, not drawn


@dataclass(frozen=True)
class Dot:
    """A row of a dot plot: a value, its interval, another protocol's value and its spread."""

    name: str
    value: float | None
    ci95: Sequence[float] | None = None
    other: float | None = None
    other_range: Sequence[float] | None = None


def dot_plot(
    rows: Sequence[Dot],
    *,
    unit: str,
    line: float | None = None,
    line_text: str = "",
    scale: float = 1.0,
) -> Canvas:
    """Values with intervals, a row each from the top; ``line`` is a reference value."""
    rows = [row for row in rows if row.value is not None or row.other is not None]
    names = [fold(row.name) for row in rows]
    tall = max((name.count("\n") for name in names), default=0)
    with drawing(0.8 + (ROW + 0.15 * tall) * max(len(rows), 2)) as (figure, axes):
        for place, row in enumerate(rows):
            if row.other_range:
                axes.plot(
                    np.multiply(row.other_range, scale), [place + 0.28] * 2, color=MUTED, lw=1, gid=OTHERS
                )
            if row.other is not None:
                axes.plot(row.other * scale, place + 0.28, "D", ms=4, mfc=PAPER, mec=MUTED, mew=1, gid=OTHER)
            if row.ci95:
                ends = np.multiply(row.ci95, scale)
                axes.plot(ends, [place] * 2, color=ACCENT, lw=2.4, solid_capstyle="butt", gid=INTERVAL)
            if row.value is not None:
                axes.plot(row.value * scale, place, "o", ms=4, color=ACCENT, gid=VALUE)
        if line is not None:
            axes.axvline(line * scale, color=WARM, lw=1.1, ls=(0, (4, 2)), gid=line_text)
            above = {"xycoords": ("data", "axes fraction"), "xytext": (0, 3), "textcoords": "offset points"}
            axes.annotate(line_text, (line * scale, 1.0), **above, ha="center", fontsize=SMALL, color=WARM)
        named_rows(axes, names, 0.6)
        axes.grid(axis="y")
        figure.supxlabel(unit)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=5)
        return figure


def heat_map(
    values: np.ndarray,
    *,
    unit: str,
    limits: tuple[float, float],
    boxes: np.ndarray | None = None,
) -> Canvas:
    """A map (gh, gw) with axes and a colour bar; ``boxes`` (gh, gw) bool are outlined.

    ``unit`` may have a place ``{power}`` for a power of ten, which values are then divided by.
    """
    gh, gw = values.shape
    height = float(np.clip(2.75 * gh / gw, 0.8, 4.5)) + (0.9 if gh < 0.7 * gw else 0.4)
    factor, text = power(limits)
    with drawing(height, layout="compressed") as (figure, axes):
        low, high = (factor * limit for limit in limits)
        image = axes.imshow(factor * values, cmap=SEQUENTIAL, vmin=low, vmax=high, interpolation="none")
        _bar(figure, image, axes, unit.format(power=text), flat=gh < 0.7 * gw)
        for r, c in np.argwhere(boxes) if boxes is not None else []:
            for colour, width in (("#000000", 2.6), ("#ffffff", 1.3)):
                axes.add_patch(Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, ec=colour, lw=width))
        axes.set_xlabel("patch column")
        axes.set_ylabel("patch row")
        axes.spines[:].set_visible(False)
        axes.locator_params(nbins=6, integer=True)
        return figure


def matrix(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    unit: str,
    limits: tuple[float, float],
    text: Callable[[float], str],
    axis_names: tuple[str, str],
) -> Canvas:
    """A matrix with a name per row and column, its entries written in where there are few."""
    n, m = values.shape
    side = WIDTH if m <= 12 else 1.4 * WIDTH
    height = float(np.clip(0.8 + 0.72 * side * n / m, 1.5, 1.2 * side))
    with drawing(height, width=side) as (figure, axes):
        image = axes.imshow(
            values, cmap=SEQUENTIAL, vmin=limits[0], vmax=limits[1], interpolation="none", aspect="auto"
        )
        _bar(figure, image, axes, unit)
        if m <= 12:
            for (r, c), value in np.ndenumerate(values):
                if np.isfinite(value):
                    style = {"fontsize": 7.5, "color": ink_on(value, *limits), "in_layout": False}
                    axes.text(c, r, text(value), ha="center", va="center", **style)
        longest = max(len(short(name)) for name in columns)
        upright = longest <= (4 if m <= 6 else 3)
        axes.set_xticks(range(m), [short(name) for name in columns], rotation=0 if upright else 90)
        axes.set_yticks(range(n), [short(name, 28) for name in rows])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        if axis_names[0]:
            figure.supxlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
        return figure


def _bar(figure: Any, image: Any, axes: Axes, unit: str, flat: bool = False) -> None:
    """The colour bar beside the axes; below, where a map is too flat for its text."""
    place = {"orientation": "horizontal", "fraction": 0.08, "pad": 0.04, "aspect": 35}
    bar = figure.colorbar(
        image, ax=axes, **(place if flat else {"fraction": 0.05, "pad": 0.03, "aspect": 25})
    )
    bar.outline.set_visible(False)
    bar.set_label(unit)
    bar.ax.tick_params(length=2)


def named_rows(axes: Axes, names: Sequence[str], room: float = 0.5) -> None:
    """A name per row at the left, the first on top, without a spine; with room above and below."""
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 1 + room, -room)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def fold(name: str, length: int = 22) -> str:
    """A name in two lines where it is long, broken after a sign; cut where that is not enough."""
    places = [i for i in range(1, len(name) - 1) if name[i] in " +" and i <= length]
    if len(name) <= length or not places:
        return short(name, length)
    at = places[-1]
    return name[: at + 1].rstrip() + "\n" + short(name[at + 1 :], length)


def each(counts: np.ndarray) -> str:
    """``n = 5 images per class``, or the least and the greatest number."""
    low, high = int(counts.min()), int(counts.max())
    return f"n = {low:,} images per class" if low == high else f"n = {low:,} to {high:,} images per class"


def legend(axes: Axes, ncols: int = 3) -> None:
    """A legend above the axes, flush right, so that it may reach over the names at their left."""
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=ncols,
        borderaxespad=0.2,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=0.9,
    )
