"""The data of a drawing as CSV: what its lines, bars, steps and images show, in the units of its axes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure as Canvas

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet runs where a cell's text begins with it


def csv_address(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV in a data address."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return "data:text/csv;charset=utf-8," + quote(text.getvalue(), safe=",")


def drawn_rows(canvas: Canvas) -> list[list[Any]]:
    """What a drawing shows.

    Returns:
        With an image: its unit and the columns' names, then a row each. Else: series and what the axes are,
        then a point each; a bar is the point at its end, a line across the axes has one of the two.
    """
    axes, *others = canvas.axes
    # The x label may be the drawing's own; rows with names need none.
    labels = [axes.get_xlabel() or canvas.get_supxlabel() or "x", axes.get_ylabel() or "row"]
    if axes.images:
        values = axes.images[0].get_array()
        unit = next((other.get_ylabel() or other.get_xlabel() for other in others), "")
        across, down = (_namer(axis) for axis in (axes.xaxis, axes.yaxis))
        head = [unit, *(across(i) for i in range(values.shape[1]))]
        return [head, *([down(i), *row] for i, row in enumerate(values.tolist()))]
    return [["series", *labels], *_points(axes)]


def map_rows(maps: Iterable[np.ndarray], names: Iterable[str], unit: str) -> Iterator[list[Any]]:
    """Maps (gh, gw) below each other: the map's name, the row of patches, and a value per column."""
    for number, (name, values) in enumerate(zip(names, maps, strict=False)):
        if not number:
            yield [unit, "row", *range(values.shape[1])]
        yield from ([name, i, *row] for i, row in enumerate(values.tolist()))


def _points(axes: Axes) -> Iterator[list[Any]]:
    across, down = _namer(axes.xaxis), _namer(axes.yaxis)
    for bars in axes.containers:
        for bar in bars:
            upright = bars.orientation == "vertical"
            x = bar.get_x() + bar.get_width() / 2 if upright else bar.get_width()
            y = bar.get_height() if upright else bar.get_y() + bar.get_height() / 2
            yield [_series(bars) or _series(bar), across(x), down(y)]
    for steps in (patch for patch in axes.patches if hasattr(patch, "get_data")):
        values, edges, _ = steps.get_data()
        yield from ([_series(steps), across(x), down(y)] for x, y in zip(edges, values, strict=False))
    for line in axes.lines:
        in_x, in_y = line.get_transform().contains_branch_seperately(axes.transData)
        points = line.get_xydata()[: None if in_x and in_y else 1]
        yield from ([_series(line), across(x) if in_x else "", down(y) if in_y else ""] for x, y in points)


def _series(artist: Any) -> str:
    """As the legend calls it, or what nobody sees but us."""
    label = str(artist.get_label())
    return (getattr(artist, "get_gid", str)() or "") if label.startswith("_") else label


def _namer(axis: Axis) -> Callable[[float], Any]:
    """From a coordinate to the name at its tick, where the ticks are 0, 1, 2 ... and named; else itself."""
    places, names = axis.get_ticklocs(), [tick.get_text() for tick in axis.get_ticklabels()]
    counted = np.array_equal(places, np.arange(len(places)))
    if not counted or all(name == f"{place:g}" for place, name in zip(places, names, strict=True)):
        return lambda value: value
    return lambda value: names[round(value)] if 0 <= round(value) < len(names) else value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, (int, float)):
        return f"{value:.6g}"
    text = " ".join(str(value).split())
    return f"'{text}" if text.startswith(FORMULA) else text
