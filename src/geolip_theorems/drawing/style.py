"""How drawings look, and how they get into the page: SVG in the page's own colours, PNG for maps.

Matplotlib writes stand-in colours for ink, grid and the like; in the SVG they become CSS variables, so a
drawing follows the page into dark mode and onto paper. Ids are hashed from a drawing's name and content.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import to_hex, to_rgba_array
from matplotlib.figure import Figure as Canvas
from PIL import Image

from ..data.luma import LUMA
from .blocks import Bar

INK, MUTED, GRID, ACCENT, WARM, GOOD, PAPER, SOFT = (f"#0102{i:02x}" for i in range(3, 11))
NAMES = ("ink", "muted", "grid", "accent", "warm", "good", "card", "soft")
VARIABLES = dict(zip((INK, MUTED, GRID, ACCENT, WARM, GOOD, PAPER, SOFT), NAMES, strict=True))
STAND_IN = re.compile("|".join(VARIABLES))
ABSENT = "#808080"
MSE = "mean squared error, {power}input units²"
SEQUENTIAL, OTHER, DIVERGING = "cividis", "viridis", "RdBu_r"
# Okabe and Ito 2008, without black; told apart with every common colour vision.
CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
WIDTH = 3.7  # inches; close to a phone's width, so that type stays legible there
LONGEST_NAME = 18
TYPE, SMALL = 10.5, 9.5  # points; shown at about 1.25 times that
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

RC: dict[str, Any] = {
    "font.size": TYPE,
    "font.family": "sans-serif",
    "axes.labelsize": TYPE,
    "figure.labelsize": TYPE,
    "axes.titlesize": TYPE,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "text.parse_math": False,  # a class may be named "$x"
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,  # whole numbers at the ticks, not 0.001 and "+0.99" in a corner
    "axes.unicode_minus": True,
}


@contextmanager
def drawing(
    height: float, width: float = WIDTH, layout: str = "constrained"
) -> Iterator[tuple[Canvas, Axes]]:
    """A figure with one axes in the report's style, sizes in inches."""
    with matplotlib.rc_context(RC):
        figure = Canvas(figsize=(width, height), layout=layout)
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        yield figure, axes


def svg(figure: Canvas, name: str, alt: str) -> Markup:
    """The figure as markup for a page; ``name`` is unique in the page, ``alt`` says what is seen."""
    text = io.StringIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": name}), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # glyphs our font lacks; the reader's has them
        # Not savefig, which draws everything twice.
        figure.canvas.print_svg(text, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    _, view, width, body = re.split(r'<svg [^>]*viewBox="([^"]* ([\d.]+) [^" ]*)"[^>]*>', text.getvalue())
    body = re.sub(r"<style.*?</style>", "", body, flags=re.DOTALL)
    body = re.sub(r'<(g|text) id="[^"]*"', r"<\1", body)  # names of groups, which nothing refers to
    body = re.sub(r'style="[^"]*"', _of_the_page, body).replace("xlink:href", "href")
    about = (
        f'role="img" aria-label="{escape(alt)}" class="drawing" style="max-width:{1.6 * float(width):.0f}px"'
    )
    return Markup(f'<svg viewBox="{view}" {about}>{body}')


def _of_the_page(style: re.Match[str]) -> str:
    """A style with the page's own fonts and colours."""
    text = re.sub(r"font: (?:[a-z]+ )*([\d.]+px) [^;\"]*", r"font-size: \1", style[0])
    text = re.sub(r"font-family: [^;\"]*;? ?", "", text)
    return STAND_IN.sub(lambda colour: f"var(--{VARIABLES[colour[0]]})", text)


def power(*values: Any) -> tuple[float, str]:
    """What to multiply values with so that they are easy to read, and the power of ten it stands for.

    Returns:
        A factor and its text: ``(1e6, "10⁻⁶ ")`` for values of some millionths, ``(1.0, "")`` for ordinary
        ones.
    """
    largest = max((float(np.nanmax(np.abs(v))) for v in values if np.size(v)), default=0.0)
    if not np.isfinite(largest) or largest == 0 or 0.01 <= largest < 10_000:
        return 1.0, ""
    exponent = 3 * int(np.floor(np.log10(largest) / 3))
    return 10.0**-exponent, "10" + str(exponent).translate(SUPERSCRIPT) + " "


def short(text: Any, length: int = LONGEST_NAME) -> str:
    """A name cut to fit a figure."""
    text = str(text)
    return text if len(text) <= length else text[: length - 1] + "…"


def ink_on(value: float, low: float, high: float) -> str:
    """Black or white, whichever reads better on the map's colour for a value."""
    r, g, b, _ = matplotlib.colormaps[SEQUENTIAL]((value - low) / (high - low) if high > low else 0.5)
    return "#000000" if 0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2 > 0.18 else "#ffffff"


def categories(count: int) -> list[str]:
    """Colours of so many categories as hexadecimal numbers."""
    if count <= len(CATEGORIES):
        return list(CATEGORIES[:count])
    return [to_hex(colour) for colour in matplotlib.colormaps[OTHER](np.linspace(0, 1, count))]


def coloured(values: np.ndarray, low: float, high: float, cmap: str) -> np.ndarray:
    """The colours (h, w, 3) uint8 of a map's values over a range, grey for NaN."""
    scaled = (np.asarray(values, np.float64) - low) / (high - low) if high > low else values * 0 + 0.5
    colours = matplotlib.colormaps[cmap].with_extremes(bad=ABSENT)(scaled)
    return np.round(255 * colours[..., :3]).astype(np.uint8)


def map_png(values: np.ndarray, low: float, high: float, cmap: str = SEQUENTIAL) -> str:
    """A map (gh, gw) as a PNG data address, a pixel for a patch; the page enlarges it without smoothing."""
    return png(coloured(values, low, high, cmap))


def category_png(values: np.ndarray, colours: Sequence[str]) -> str:
    """A map of whole numbers as a PNG data address, a colour each."""
    palette = np.round(255 * to_rgba_array(colours)[:, :3]).astype(np.uint8)
    return png(palette[np.clip(values, 0, len(colours) - 1)])


def overlay_png(picture: np.ndarray, values: np.ndarray, low: float, high: float, cmap: str) -> str:
    """A map over the grey version of a picture (h, w, 3), as a PNG data address."""
    h, w = picture.shape[:2]
    rows = np.minimum(np.arange(h) * values.shape[0] // h, values.shape[0] - 1)
    columns = np.minimum(np.arange(w) * values.shape[1] // w, values.shape[1] - 1)
    colour = coloured(values, low, high, cmap)[np.ix_(rows, columns)]
    return png((0.7 * colour + 0.3 * (picture @ np.array(LUMA))[..., None]).round().astype(np.uint8))


def png(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 as a PNG data address."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def colour_bar(low: float, high: float, unit: str, cmap: str = SEQUENTIAL, signed: bool = False) -> Bar:
    """The scale of maps made by :func:`map_png`; ``{power}`` in the unit becomes a power of ten."""
    factor, text = power((low, high)) if "{power}" in unit else (1.0, "")
    ticks = [f"{factor * v:{'+' if signed and v else ''}.3g}" for v in (low, (low + high) / 2, high)]
    image = map_png(np.linspace(0, 1, 255)[None], 0, 1, cmap)
    return Bar(image, tuple(tick.replace("-", "−") for tick in ticks), unit.format(power=text))
