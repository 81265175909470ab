"""What every figure of a question has in common: fetch what it needs, draw, name, or say what is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Canvas

from .blocks import Figure, Note, Tile, Tiles
from .charts import Dot, dot_plot
from .data import csv_address, drawn_rows, map_rows
from .shown import Shown
from .style import SEQUENTIAL, colour_bar, map_png, power, svg

Need = str | tuple[str, int] | Callable[[Shown], Any]


def figure(
    title: str = "",
    key: str = "",
    *,
    needs: dict[str, Need] | None = None,
    takes: dict[str, Need] | None = None,
    missing: str | Callable[[Shown], str | None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[[Shown], Any]]:
    """Make a function that draws into a builder of a report's block.

    Args:
        title: above the figure. key: its id in the page. Neither is needed by what makes whole blocks.
        needs: by argument of the function what it is given: the path of an entry of the measurements, the
            name and the number of axes of a kept array, or a function of the subject. Where one is not there,
            nothing is drawn.
        takes: the same, given as None where it is not there.
        missing: said where something needed is not there, a text or from the subject; else nothing is.

    The function is called with the subject and what it needs and takes. It gives the drawing, what is seen on
    it, and its caption; or any block, or None, which are passed on.
    """

    def decorate(draw: Callable[..., Any]) -> Callable[[Shown], Any]:
        @wraps(draw)
        def build(shown: Shown) -> Any:
            needed = {name: shown.find(need) for name, need in (needs or {}).items()}
            if any(value is None for value in needed.values()):
                text = missing(shown) if callable(missing) else missing
                return Note(text) if text else None
            taken = {name: shown.find(need) for name, need in (takes or {}).items()}
            made = draw(shown, **needed, **taken)
            return panel(title, shown.key(key), *made) if isinstance(made, tuple) else made

        return build

    return decorate


def panel(title: str, name: str, canvas: Canvas, alt: str, caption: str, wide: bool = False) -> Figure:
    """A drawing with what it shows as CSV; ``name`` is unique in the page."""
    return Figure(title, svg(canvas, name, alt), caption, wide, csv_address(drawn_rows(canvas)))


def interval_plot(
    shown: Shown,
    figures: Mapping[str, Any],
    title: str,
    more: str = "",
    n: int | None = None,
    others: Mapping[str, float | None] | None = None,
    **options: Any,
) -> tuple[Canvas, str, str] | None:
    """The figures that have a value, by name, as a drawing with its alternative text and caption, or None.

    Args:
        title: of the alternative text. more: sentences of the caption.
        n: images, where the first figure's are not all. others: another protocol's values.
        options: of :func:`.charts.dot_plot`.
    """
    known = {name: found for name, found in figures.items() if found and found.get("value") is not None}
    if not known:
        return None
    scale, first = options.get("scale", 1), next(iter(known.values()))
    rows = [Dot(name, f["value"], f["ci95"], (others or {}).get(name)) for name, f in known.items()]
    drawn = dot_plot(rows, **options)
    alt = "; ".join(f"{name} {scale * found['value']:+.3g}" for name, found in known.items())
    caption = f"{shown.n(n or first['n'])}; 95 % intervals by {first['method']}.{more}"
    return drawn, f"{title}: {alt}", caption


def map_tiles(
    title: str,
    maps: Sequence[np.ndarray],
    names: Sequence[str],
    caption: str,
    *,
    unit: str,
    limits: tuple[float, float] | None = None,
    cmap: str = SEQUENTIAL,
    rest: str = "",
) -> Tiles:
    """Maps (gh, gw) side by side on one scale.

    Args:
        limits: of the scale, by default the least and the greatest value. Symmetric ones are a difference's;
            of other maps the mean stands below the name.
        rest: said of maps that are not there.
    """
    low, high = limits or (float(np.min(maps)), float(np.max(maps)))
    signed = low == -high
    factor = power((low, high))[0] if "{power}" in unit else 1.0
    tiles = [
        Tile(
            map_png(m, low, high, cmap),
            name,
            f"{title}, {name}: mean {m.mean():.3g}, from {m.min():.3g} to {m.max():.3g}",
            "" if signed else f"{factor * m.mean():.3g}",
        )
        for m, name in zip(maps, names, strict=False)
    ]
    data = csv_address(map_rows(maps, names, unit.format(power="")))
    bar = colour_bar(low, high, unit, cmap, signed)
    return Tiles(title, tiles, caption, bar, rest=rest, data=data)
