"""The ten outlines of the generated scenes, as implicit functions: below 0 inside, 0 on the outline.

Each takes coordinates (x, y) of any common shape, in which the figure fills about the unit disc. Near the
outline the value grows by about 1 a unit of distance; further away only its sign means something.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Array = np.ndarray
PENTAGRAM_LINE = math.cos(math.radians(72))  # distance of a unit pentagram's lines from its centre


def _box(x: Array, y: Array, half_width: float, half_height: float) -> Array:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _polygon_lines(x: Array, y: Array, count: int, distance: float) -> list[Array]:
    """Signed distances to the lines of a regular polygon of ``count`` sides."""
    angles = [2 * math.pi * k / count + math.pi / 2 for k in range(count)]
    return [math.cos(a) * x + math.sin(a) * y - distance for a in angles]


def disc(x: Array, y: Array) -> Array:
    return np.sqrt(x * x + y * y) - 0.85


def ring(x: Array, y: Array) -> Array:
    return np.abs(np.sqrt(x * x + y * y) - 0.68) - 0.22


def square(x: Array, y: Array) -> Array:
    return _box(x, y, 0.72, 0.72)


def triangle(x: Array, y: Array) -> Array:
    return np.maximum.reduce(_polygon_lines(x, y, 3, 0.5))


def star(x: Array, y: Array) -> Array:
    """A pentagram with its five tips: the points on the inner side of at least four of its five lines."""
    highest = second = np.full_like(x, -np.inf)
    for line in _polygon_lines(x, y, 5, PENTAGRAM_LINE):
        second = np.maximum(second, np.minimum(highest, line))
        highest = np.maximum(highest, line)
    return second


def cross(x: Array, y: Array) -> Array:
    return np.minimum(_box(x, y, 0.9, 0.28), _box(x, y, 0.28, 0.9))


def crescent(x: Array, y: Array) -> Array:
    return np.maximum(np.sqrt(x * x + y * y) - 0.9, 0.72 - np.sqrt((x - 0.5) ** 2 + y * y))


def heart(x: Array, y: Array) -> Array:
    """A square on its corner with a half disc on each of its two upper sides."""
    u, v = (y + x) / math.sqrt(2) + 0.1, (y - x) / math.sqrt(2) + 0.1
    lobe_u = np.sqrt((u - 0.5) ** 2 + v * v) - 0.5
    lobe_v = np.sqrt(u * u + (v - 0.5) ** 2) - 0.5
    return np.minimum(_box(u, v, 0.5, 0.5), np.minimum(lobe_u, lobe_v))


def arrow(x: Array, y: Array) -> Array:
    head = np.maximum(0.1 - x, 0.6 * (x - 0.95) + 0.8 * np.abs(y))
    return np.minimum(_box(x + 0.35, y, 0.55, 0.2), head)


def bowtie(x: Array, y: Array) -> Array:
    waist, slope = 0.1, 0.8
    sides = (np.abs(y) - slope * np.abs(x) - waist) / math.hypot(1.0, slope)
    return np.maximum(np.abs(x) - 0.75, sides)


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    shape.__name__: shape
    for shape in (disc, ring, square, triangle, star, cross, crescent, heart, arrow, bowtie)
}
