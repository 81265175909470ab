"""Generated scenes: one of ten shapes on a textured ground, with the true boundary of each.

Everything follows from the seed through NumPy's PCG64 uniform numbers and float64 arithmetic, so the 8-bit
images are the same on every machine. Scene i is of class i % 10.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from scipy import ndimage

from ..imageset import ImageSet
from ..stores import GeneratedStore
from . import Asked

VERSION = 1  # raise it when the pictures change
BLOCK = 100
DEFAULT_IMAGES = 2000
Array = np.ndarray
Draw = Callable[..., Array]
Plane = Callable[[Array, Array], Array]


# --- shapes ------------------------------------------------------------------------------------------


def _box(x: Array, y: Array, half_width: float, half_height: float) -> Array:
    return np.maximum(np.abs(x) - half_width, np.abs(y) - half_height)


def _polygon_lines(x: Array, y: Array, count: int, distance: float) -> list[Array]:
    """Signed distances to the lines of a regular polygon of ``count`` sides."""
    angles = [2 * math.pi * k / count + math.pi / 2 for k in range(count)]
    return [math.cos(a) * x + math.sin(a) * y - distance for a in angles]


def _star(x: Array, y: Array) -> Array:
    """A unit pentagram with its five tips: what is on the inner side of at least four of its five lines."""
    highest = second = np.full_like(x, -np.inf)
    for line in _polygon_lines(x, y, 5, math.cos(math.radians(72))):
        second = np.maximum(second, np.minimum(highest, line))
        highest = np.maximum(highest, line)
    return second


def _heart(x: Array, y: Array) -> Array:
    """A square on its corner with a half disc on each of its two upper sides."""
    u, v = (y + x) / math.sqrt(2) + 0.1, (y - x) / math.sqrt(2) + 0.1
    lobe_u = np.sqrt((u - 0.5) ** 2 + v * v) - 0.5
    lobe_v = np.sqrt(u * u + (v - 0.5) ** 2) - 0.5
    return np.minimum(_box(u, v, 0.5, 0.5), np.minimum(lobe_u, lobe_v))


def _arrow(x: Array, y: Array) -> Array:
    head = np.maximum(0.1 - x, 0.6 * (x - 0.95) + 0.8 * np.abs(y))
    return np.minimum(_box(x + 0.35, y, 0.55, 0.2), head)


def _bowtie(x: Array, y: Array) -> Array:
    waist, slope = 0.1, 0.8
    sides = (np.abs(y) - slope * np.abs(x) - waist) / math.hypot(1.0, slope)
    return np.maximum(np.abs(x) - 0.75, sides)


# Below 0 inside, 0 on the outline, about 1 a unit of distance near it; each fills about the unit disc.
SHAPES: dict[str, Plane] = {
    "disc": lambda x, y: np.sqrt(x * x + y * y) - 0.85,
    "ring": lambda x, y: np.abs(np.sqrt(x * x + y * y) - 0.68) - 0.22,
    "square": lambda x, y: _box(x, y, 0.72, 0.72),
    "triangle": lambda x, y: np.maximum.reduce(_polygon_lines(x, y, 3, 0.5)),
    "star": _star,
    "cross": lambda x, y: np.minimum(_box(x, y, 0.9, 0.28), _box(x, y, 0.28, 0.9)),
    "crescent": lambda x, y: np.maximum(np.sqrt(x * x + y * y) - 0.9, 0.72 - np.sqrt((x - 0.5) ** 2 + y * y)),
    "heart": _heart,
    "arrow": _arrow,
    "bowtie": _bowtie,
}


def _rotate(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, c * y - s * x


def _outlines(draw: Draw) -> Plane:
    """The implicit function of each image's shape, image i of shape i % 10, in a pose of its own."""
    radius = draw(0.38, 0.72)
    room = 0.95 - radius
    left, top = draw(-1, 1) * room, draw(-1, 1) * room
    turn, tilt, axis = draw(0, 2 * np.pi), draw(0.65, 1), draw(0, np.pi)

    def outlines(x: Array, y: Array) -> Array:
        x, y = _rotate((x - left) / radius, (y - top) / radius, axis)
        x, y = _rotate(x, y / tilt, turn - axis)
        field = np.empty_like(x)
        for number, shape in enumerate(SHAPES.values()):
            field[number :: len(SHAPES)] = shape(x[number :: len(SHAPES)], y[number :: len(SHAPES)])
        return field

    return outlines


# --- surfaces ----------------------------------------------------------------------------------------


def _value_noise(draw: Draw, size: int) -> Array:
    """Smooth noise of several octaves in [0, 1], (BLOCK, size, size)."""
    field, weight_sum = np.zeros((BLOCK, size, size)), 0.0
    for cells, weight in ((3, 1.0), (6, 0.6), (12, 0.35), (24, 0.2)):
        lattice = draw(0, 1, cells + 1, cells + 1)
        position = np.linspace(0, cells, size, endpoint=False) + cells / (2 * size)
        cell = np.minimum(position.astype(int), cells - 1)
        rest = position - cell
        rest = rest * rest * (3 - 2 * rest)  # smoothstep, so that the lattice leaves no creases
        across = np.zeros((size, cells + 1))
        across[np.arange(size), cell] = 1 - rest
        across[np.arange(size), cell + 1] = rest
        field += weight * (across @ lattice @ across.T)
        weight_sum += weight
    return np.clip(1.8 * (field / weight_sum - 0.5) + 0.5, 0, 1)


# Of coordinates and noise, to [0, 1]: plain, clouds, stripes, checks, spots, marble.
TEXTURES: tuple[Callable[[Array, Array, Array], Array], ...] = (
    lambda u, v, noise: 0.5 + 0.4 * (noise - 0.5),
    lambda u, v, noise: noise,
    lambda u, v, noise: np.clip(0.5 + 1.2 * np.sin(u), 0, 1),
    lambda u, v, noise: np.clip(0.5 + 2.5 * np.sin(u) * np.sin(v), 0, 1),
    lambda u, v, noise: np.clip(2.0 * (np.cos(u) + np.cos(v)) - 1.6, 0, 1),
    lambda u, v, noise: 0.5 + 0.5 * np.sin(0.6 * u + 9.0 * noise),
)


def _texture(draw: Draw, x: Array, y: Array) -> Array:
    """A pattern in [0, 1] an image, its kind, scale, angle and phase drawn, (BLOCK, s, s)."""
    kind = draw(0, len(TEXTURES)).astype(int).reshape(-1)
    noise = _value_noise(draw, x.shape[-1])
    frequency, phase = draw(6, 22), draw(0, 2 * np.pi)
    u, v = _rotate(x, y, draw(0, np.pi))
    u, v = frequency * u + phase, frequency * v + phase
    pattern = np.empty((BLOCK, *x.shape[-2:]))
    for number, texture in enumerate(TEXTURES):
        own = kind == number
        pattern[own] = texture(u[own], v[own], noise[own])
    return pattern


def _colour(hue: Array, saturation: Array, value: Array) -> Array:
    """HSV, (BLOCK, 1, 1) each, to RGB (BLOCK, 1, 1, 3)."""
    k = (np.array([5.0, 3.0, 1.0]) + 6 * hue[..., None]) % 6
    ramp = np.clip(np.minimum(k, 4 - k), 0, 1)
    return value[..., None] * (1 - saturation[..., None] * ramp)


def _surface(draw: Draw, x: Array, y: Array, hue: Array, value: Array) -> Array:
    """A textured surface: a colour and a neighbour of it, mixed by the pattern; (BLOCK, s, s, 3)."""
    saturation = draw(0.1, 0.8)
    first = _colour(hue, saturation, value)
    change = draw(0.12, 0.35) * np.where(draw(0, 1) < 0.5, -1, 1)
    second = _colour(hue + draw(-0.08, 0.08), saturation * draw(0.6, 1.2), np.clip(value + change, 0.05, 1))
    pattern = _texture(draw, x, y)[..., None]
    return first + pattern * (second - first)


def render(block: int, *, seed: int, size: int) -> tuple[Array, Array, Array]:
    """Scenes block * 100 to block * 100 + 99.

    Returns:
        images (100, size, size, 3) uint8; the shape's pixels (100, size, size) bool, those whose centre is
        inside it; the boundary (100, size, size) bool, the pixels beside its outline on either side.
    """
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, block])))

    def draw(low: float, high: float, *shape: int) -> Array:
        """Uniform numbers in [low, high): (BLOCK, 1, 1), or (BLOCK, *shape)."""
        return low + (high - low) * rng.random((BLOCK, *(shape or (1, 1))))

    centre = (np.arange(size) + 0.5) * (2 / size) - 1
    y, x = np.broadcast_arrays(centre[None, :, None], centre[None, None, :])
    outlines = _outlines(draw)
    field = outlines(x, y)
    slope_y, slope_x = np.gradient(field, axis=(1, 2))
    slope = np.sqrt(slope_x**2 + slope_y**2) + 1e-12
    cover = np.clip(0.5 - field / slope, 0, 1)[..., None]  # share of a pixel that is inside, to first order

    hue, value = draw(0, 1), draw(0.25, 0.85)
    ground = _surface(draw, x, y, hue, value)
    # The shape differs from its ground in hue and by 0.3 or more in value, so that it can be seen.
    apart = np.where(value < 0.55, 1, -1) * draw(0.3, 0.5)
    figure = _surface(draw, x, y, hue + draw(0.2, 0.8), np.clip(value + apart, 0.1, 1))

    angle = draw(0, 2 * np.pi)
    light_x, light_y = np.cos(angle), np.sin(angle)
    relief = draw(0, 0.45) * np.exp(np.minimum(field, 0) / 0.12)
    figure *= (1 + relief * (slope_x * light_x + slope_y * light_y) / slope)[..., None]  # a rounded rim
    reach, soft = draw(0.05, 0.16), draw(0.05, 0.25)
    shade = np.clip(0.5 - outlines(x + reach * light_x, y + reach * light_y) / soft, 0, 1)
    ground *= (1 - draw(0.1, 0.6) * shade)[..., None]

    picture = ground + cover * (figure - ground)
    picture *= (1 + draw(0.05, 0.4) * (x * light_x + y * light_y))[..., None]
    picture *= draw(0.85, 1.1, 1, 1, 3)
    grain = draw(0, 0.03)[..., None]
    picture += grain * 2 * (sum(draw(0, 1, size, size, 3) for _ in range(3)) - 1.5)
    images = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    inside = field < 0
    cross = ndimage.generate_binary_structure(2, 1)[None]
    shrunk = ndimage.binary_erosion(inside, cross, border_value=1)
    return images, inside, ndimage.binary_dilation(inside, cross) & ~shrunk


def _images_and_boundaries(block: int, seed: int, size: int) -> tuple[Array, Array]:
    images, _, boundary = render(block, seed=seed, size=size)
    return images, boundary


def open_images(asked: Asked) -> ImageSet:
    """The first scenes of a seed, made at the transform's image_size x image_size when asked for."""
    asked.check_generated("scenes")
    image_size, transform = asked.transform.image_size, replace(asked.transform, image_size=None)
    n, seed = asked.count or DEFAULT_IMAGES, asked.seed
    generate = partial(_images_and_boundaries, seed=seed, size=image_size)
    recipe = f"scenes {VERSION} seed {seed} size {image_size}"
    size = (image_size, image_size)
    store = GeneratedStore(generate, BLOCK, n, size, recipe, transform, transform.channels)
    source = f"{n:,} generated scenes, seed {seed}: {len(SHAPES)} shapes on textured grounds"
    preprocessing = f"generated{image_size}+{transform.describe()}"
    labels = np.arange(n, dtype=np.int64) % len(SHAPES)
    return ImageSet("scenes", source, store, preprocessing, labels, tuple(SHAPES))
