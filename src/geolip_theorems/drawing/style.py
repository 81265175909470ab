"""How drawings look, and how they get into the page: SVG in the page's own colours, PNG for maps.

Matplotlib writes stand-in colours for ink, grid and the like; in the SVG they become CSS variables, so a
drawing follows the page into dark mode and onto paper. Ids are hashed from a drawing's name and content,
so two makes of a page are equal byte for byte.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from PIL import Image

from ..data.luma import LUMA
from .blocks import Bar

INK, MUTED, GRID, ACCENT, WARM, GOOD, PAPER, SOFT = (f"#0102{i:02x}" for i in range(3, 11))
VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    ACCENT: "accent",
    WARM: "warm",
    GOOD: "good",
    PAPER: "card",
    SOFT: "soft",
}
MSE = "mean squared error, {power}input units²"
SEQUENTIAL, OTHER, DIVERGING = "cividis", "viridis", "RdBu_r"
# Okabe and Ito 2008, without black; told apart with every common colour vision.
CATEGORIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
WIDTH = 3.7  # inches; close to a phone's width, so that type stays legible there
SMALLEST_MAP = 128  # pixels a side of an enlarged map
LONGEST_NAME = 18
TYPE, SMALL = 10.5, 9.5  # points; shown at about 1.25 times that
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
SVG = "http://www.w3.org/2000/svg"
XLINK = "http://www.w3.org/1999/xlink"

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
    "svg.hashsalt": "geolip-theorems",
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
    with matplotlib.rc_context(RC), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # glyphs our font lacks; the reader's has them
        # Not savefig, which draws everything twice.
        figure.canvas.print_svg(text, metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(text.getvalue())
    width = float(root.get("viewBox").split()[2])
    for element in list(root.iter()):
        for child in list(element):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                element.remove(child)
        _adapt(element, name)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    root.set("class", "drawing")
    root.set("style", f"max-width:{width * 1.6:.0f}px")
    ElementTree.register_namespace("", SVG)
    ElementTree.register_namespace("xlink", XLINK)
    markup = ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)
    # An SVG inside HTML needs no namespaces, and its own <title>-less text is escaped by ElementTree.
    return Markup(re.sub(r' xmlns(:xlink)?="[^"]*"', "", markup, count=2).replace("xlink:href", "href"))


def _adapt(element: ElementTree.Element, name: str) -> None:
    """Ids unique in the page, colours as variables, the page's own fonts."""
    for key, value in list(element.attrib.items()):
        if key == "id":
            if element.tag in (f"{{{SVG}}}g", f"{{{SVG}}}text"):
                del element.attrib[key]  # names of groups, which nothing refers to
                continue
            value = f"{name}-{value}"
        elif key.endswith("href") and value.startswith("#"):
            value = f"#{name}-{value[1:]}"
        value = value.replace("url(#", f"url(#{name}-")
        if key == "style":
            value = re.sub(r"font: (?:[a-z]+ )*([\d.]+px) [^;]*", r"font-size: \1", value)
            value = re.sub(r"font-family: [^;]*;? ?", "", value)
        for colour, variable in VARIABLES.items():
            if colour in value:
                value = value.replace(colour, f"var(--{variable})")
        if key in ("fill", "stroke") and value.startswith("var("):
            del element.attrib[key]
            element.set("style", f"{key}: {value}; {element.get('style', '')}")
            continue
        element.set(key, value)


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


def ink_on(value: float, low: float, high: float, cmap: str = SEQUENTIAL) -> str:
    """Black or white, whichever reads better on the map's colour for a value."""
    r, g, b, _ = matplotlib.colormaps[cmap]((value - low) / (high - low) if high > low else 0.5)
    return "#000000" if 0.2126 * r**2.2 + 0.7152 * g**2.2 + 0.0722 * b**2.2 > 0.18 else "#ffffff"


def categories(count: int) -> list[str]:
    """Colours of so many categories as hexadecimal numbers."""
    if count <= len(CATEGORIES):
        return list(CATEGORIES[:count])
    picks = matplotlib.colormaps[OTHER](np.linspace(0, 1, count))
    return ["#" + "".join(f"{round(255 * c):02x}" for c in pick[:3]) for pick in picks]


def levels(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as uint8 from 0 to 254 over a range; 255 for NaN."""
    scaled = (
        (np.asarray(values, np.float64) - low) / (high - low) if high > low else np.full(values.shape, 0.5)
    )
    found = np.clip(np.nan_to_num(scaled, nan=0.0), 0, 1) * 254
    return np.where(np.isnan(values), 255, np.round(found)).astype(np.uint8)


def palette(cmap: str) -> list[int]:
    """256 colours, red, green, blue in turn; the last one is grey, for what is absent."""
    colours = np.round(matplotlib.colormaps[cmap](np.linspace(0, 1, 255))[:, :3] * 255).astype(int)
    return [*colours.reshape(-1).tolist(), 128, 128, 128]


def map_png(values: np.ndarray, low: float, high: float, cmap: str = SEQUENTIAL) -> str:
    """A map (gh, gw) as a PNG data address, enlarged without smoothing."""
    return _indexed(levels(values, low, high), palette(cmap))


def category_png(values: np.ndarray, colours: Sequence[str]) -> str:
    """A map of whole numbers as a PNG data address, a colour each."""
    flat = [int(colour[i : i + 2], 16) for colour in colours for i in (1, 3, 5)]
    return _indexed(np.clip(values, 0, len(colours) - 1).astype(np.uint8), flat)


def _indexed(index: np.ndarray, colours: list[int]) -> str:
    factor = max(1, -(-SMALLEST_MAP // max(index.shape)))
    image = Image.fromarray(np.kron(index, np.ones((factor, factor), np.uint8)))
    image = image.convert("L")
    image.putpalette(colours)
    return png(image)


def png(image: Image.Image) -> str:
    """An image as a data address."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def colour_bar(low: float, high: float, unit: str, cmap: str = SEQUENTIAL, signed: bool = False) -> Bar:
    """The scale of maps made by :func:`map_png`; ``{power}`` in the unit becomes a power of ten."""
    image = Image.fromarray(np.arange(255, dtype=np.uint8)[None]).convert("L")
    image.putpalette(palette(cmap))
    factor, text = power((low, high)) if "{power}" in unit else (1.0, "")
    ticks = [f"{factor * v:{'+' if signed and v else ''}.3g}" for v in (low, (low + high) / 2, high)]
    return Bar(png(image), tuple(tick.replace("-", "−") for tick in ticks), unit.format(power=text))


def overlay_png(picture: np.ndarray, values: np.ndarray, low: float, high: float, cmap: str) -> str:
    """A map over the grey version of a picture (h, w, 3), as a PNG data address."""
    h, w = picture.shape[:2]
    grey = picture @ np.array(LUMA)
    colour = matplotlib.colormaps[cmap](levels(values, low, high) / 254.0)[..., :3] * 255
    rows = np.minimum(np.arange(h) * values.shape[0] // h, values.shape[0] - 1)
    columns = np.minimum(np.arange(w) * values.shape[1] // w, values.shape[1] - 1)
    mixed = 0.7 * colour[np.ix_(rows, columns)] + 0.3 * grey[..., None]
    return picture_png(np.clip(mixed, 0, 255).round().astype(np.uint8))


def picture_png(picture: np.ndarray) -> str:
    """A picture (h, w, 3) uint8 as a PNG data address, small ones enlarged without smoothing."""
    factor = max(1, SMALLEST_MAP // max(picture.shape[:2]))
    return png(Image.fromarray(picture.repeat(factor, 0).repeat(factor, 1)))
