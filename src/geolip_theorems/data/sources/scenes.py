"""Generated scenes: one of ten shapes on a textured ground, with the true boundary of each.

Everything follows from the seed through NumPy's PCG64 uniform numbers and float64 arithmetic, so the 8-bit
images are the same on every machine. Scene i is of class i % 10.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from ..imageset import ImageSet
from ..shapes import SHAPES
from ..stores import GeneratedStore
from . import Asked

VERSION = 1  # raise it when the pictures change
BLOCK = 100
DEFAULT_IMAGES = 2000
Array = np.ndarray


class _Draw:
    """Uniform numbers shaped to broadcast over a block of images."""

    def __init__(self, seed: int, block: int) -> None:
        self.rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, block])))

    def __call__(self, low: float, high: float, *shape: int) -> Array:
        """(BLOCK, 1, 1), or (BLOCK, *shape) numbers in [low, high)."""
        return low + (high - low) * self.rng.random((BLOCK, *(shape or (1, 1))))


@dataclass(frozen=True)
class _Pose:
    """Where a shape stands: centre, size, turn in its own plane and the tilt of that plane."""

    x: Array
    y: Array
    radius: Array
    turn: Array
    tilt: Array
    tilt_axis: Array

    def local(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Picture coordinates to the shape's own."""
        x, y = (x - self.x) / self.radius, (y - self.y) / self.radius
        x, y = _rotate(x, y, self.tilt_axis)
        return _rotate(x, y / self.tilt, self.turn - self.tilt_axis)


def _rotate(x: Array, y: Array, angle: Array) -> tuple[Array, Array]:
    c, s = np.cos(angle), np.sin(angle)
    return c * x + s * y, c * y - s * x


def _pose(draw: _Draw) -> _Pose:
    radius = draw(0.38, 0.72)
    room = 0.95 - radius
    return _Pose(
        x=draw(-1, 1) * room,
        y=draw(-1, 1) * room,
        radius=radius,
        turn=draw(0, 2 * np.pi),
        tilt=draw(0.65, 1),
        tilt_axis=draw(0, np.pi),
    )


def _outline(pose: _Pose, x: Array, y: Array) -> Array:
    """The implicit function of each image's own shape, (BLOCK, s, s); image i has shape i % 10."""
    x, y = pose.local(x, y)
    field = np.empty_like(x)
    for number, shape in enumerate(SHAPES.values()):
        field[number :: len(SHAPES)] = shape(x[number :: len(SHAPES)], y[number :: len(SHAPES)])
    return field


def _value_noise(draw: _Draw, size: int) -> Array:
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


def _plain(u: Array, v: Array, noise: Array) -> Array:
    return 0.5 + 0.4 * (noise - 0.5)


def _clouds(u: Array, v: Array, noise: Array) -> Array:
    return noise


def _stripes(u: Array, v: Array, noise: Array) -> Array:
    return np.clip(0.5 + 1.2 * np.sin(u), 0, 1)


def _checks(u: Array, v: Array, noise: Array) -> Array:
    return np.clip(0.5 + 2.5 * np.sin(u) * np.sin(v), 0, 1)


def _spots(u: Array, v: Array, noise: Array) -> Array:
    return np.clip(2.0 * (np.cos(u) + np.cos(v)) - 1.6, 0, 1)


def _marble(u: Array, v: Array, noise: Array) -> Array:
    return 0.5 + 0.5 * np.sin(0.6 * u + 9.0 * noise)


TEXTURES = (_plain, _clouds, _stripes, _checks, _spots, _marble)


def _texture(draw: _Draw, x: Array, y: Array) -> Array:
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


def _surface(draw: _Draw, x: Array, y: Array, hue: Array, value: Array) -> Array:
    """A textured surface: a colour and a neighbour of it, mixed by the pattern; (BLOCK, s, s, 3)."""
    saturation = draw(0.1, 0.8)
    first = _colour(hue, saturation, value)
    change = draw(0.12, 0.35) * np.where(draw(0, 1) < 0.5, -1, 1)
    second = _colour(hue + draw(-0.08, 0.08), saturation * draw(0.6, 1.2), np.clip(value + change, 0.05, 1))
    pattern = _texture(draw, x, y)[..., None]
    return first + pattern * (second - first)


def _boundary(inside: Array) -> Array:
    """Pixels with a side neighbour across the outline: a band of 2 pixels, one on each side."""
    band = np.zeros_like(inside)
    for a, b in (
        ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
        ((slice(None), slice(None), slice(1, None)), (slice(None), slice(None), slice(None, -1))),
    ):
        across = inside[a] != inside[b]
        band[a] |= across
        band[b] |= across
    return band


def render(block: int, *, seed: int, size: int) -> tuple[Array, Array, Array]:
    """Scenes block * 100 to block * 100 + 99.

    Returns:
        images (100, size, size, 3) uint8; the shape's pixels (100, size, size) bool, those whose centre is
        inside it; the boundary (100, size, size) bool, the pixels beside its outline on either side.
    """
    draw = _Draw(seed, block)
    centre = (np.arange(size) + 0.5) * (2 / size) - 1
    y, x = np.broadcast_arrays(centre[None, :, None], centre[None, None, :])
    pose = _pose(draw)
    field = _outline(pose, x, y)
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
    shade = np.clip(0.5 - _outline(pose, x + reach * light_x, y + reach * light_y) / soft, 0, 1)
    ground *= (1 - draw(0.1, 0.6) * shade)[..., None]

    picture = ground + cover * (figure - ground)
    picture *= (1 + draw(0.05, 0.4) * (x * light_x + y * light_y))[..., None]
    picture *= draw(0.85, 1.1, 1, 1, 3)
    grain = draw(0, 0.03)[..., None]
    picture += grain * 2 * (sum(draw(0, 1, size, size, 3) for _ in range(3)) - 1.5)
    images = np.rint(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    inside = field < 0
    return images, inside, _boundary(inside)


def _generate(block: int, seed: int, size: int) -> tuple[Array, Array]:
    images, _, boundary = render(block, seed=seed, size=size)
    return images, boundary


def open_images(asked: Asked) -> ImageSet:
    """The first scenes of a seed, made at the transform's image_size x image_size when asked for."""
    asked.check_generated("scenes")
    image_size, transform = asked.transform.image_size, replace(asked.transform, image_size=None)
    n, seed = asked.count or DEFAULT_IMAGES, asked.seed
    store = GeneratedStore(
        partial(_generate, seed=seed, size=image_size),
        block=BLOCK,
        length=n,
        size=image_size,
        recipe=f"scenes {VERSION} seed {seed} size {image_size}",
        transform=transform,
        channels=transform.channels,
    )
    return ImageSet(
        name="scenes",
        source=f"{n:,} generated scenes, seed {seed}: {len(SHAPES)} shapes on textured grounds",
        store=store,
        preprocessing=f"generated{image_size}+{transform.describe()}",
        labels=np.arange(n, dtype=np.int64) % len(SHAPES),
        classes=tuple(SHAPES),
    )
