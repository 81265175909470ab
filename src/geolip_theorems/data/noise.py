"""The noise families a Freckles model learns from, generated in batches from a seeded generator.

Families 0 to 15 follow the public trainer's definitions and numbers, flat pink and brown noise
included: there the floor of 1e-8 also meets the zero frequency, which then outweighs every other, so
families 4 and 5 are one value a channel. ``pink_dc_free`` and ``brown_dc_free`` leave the zero
frequency out and so look like what their names promise, and like photographs.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..io.errors import InputError, unknown

LIMIT = 4.0  # every family is clamped to [-LIMIT, LIMIT]
FREQUENCY_FLOOR = 1e-8


def _normal(n: int, c: int, s: int, g: Generator) -> Tensor:
    return torch.randn(n, c, s, s, generator=g)


def _unit(n: int, c: int, s: int, g: Generator) -> Tensor:
    """Uniform on [-1, 1]."""
    return torch.rand(n, c, s, s, generator=g) * 2 - 1


def _per_image(n: int, low: float, high: float, g: Generator) -> Tensor:
    """One uniform number per image, shaped (n, 1, 1, 1)."""
    return (torch.rand(n, generator=g) * (high - low) + low).reshape(n, 1, 1, 1)


def _signs(n: int, c: int, s: int, g: Generator) -> Tensor:
    return torch.where(torch.rand(n, c, s, s, generator=g) > 0.5, 1.0, -1.0)


def _poisson(n: int, c: int, s: int, g: Generator) -> Tensor:
    rate = _per_image(n, 0.5, 20.0, g)
    return torch.poisson(rate.expand(n, c, s, s), generator=g) / rate - 1.0


def _spectral(n: int, c: int, s: int, g: Generator, power: int, dc: bool) -> Tensor:
    """White noise divided by |f|**power; without ``dc`` the zero frequency is removed."""
    spectrum = torch.fft.rfft2(_normal(n, c, s, g))
    fy, fx = torch.fft.fftfreq(s)[:, None], torch.fft.rfftfreq(s)[None, :]
    amplitude = 1.0 / torch.hypot(fy, fx).pow(power).clamp(min=FREQUENCY_FLOOR)
    if not dc:
        amplitude[0, 0] = 0.0
    return torch.fft.irfft2(spectrum * amplitude, s=(s, s))


def _unit_std(x: Tensor) -> Tensor:
    return x / (x.flatten(1).std(dim=1).reshape(-1, 1, 1, 1) + 1e-8)


def _salt_pepper(n: int, c: int, s: int, g: Generator) -> Tensor:
    return 2.0 * _signs(n, c, s, g) + 0.1 * _normal(n, c, s, g)


def _sparse(n: int, c: int, s: int, g: Generator) -> Tensor:
    return 3.0 * _normal(n, c, s, g) * (torch.rand(n, c, s, s, generator=g) > 0.9)


def _cells(n: int, g: Generator) -> Tensor:
    """A cell side of 2..15 pixels an image, (n,)."""
    return torch.randint(2, 16, (n,), generator=g)


def _blocks(n: int, c: int, s: int, g: Generator) -> Tensor:
    images = []
    for side in _cells(n, g).tolist():
        count = s // side + 1
        # nearest enlargement to s pixels: pixel i shows cell floor(i * count / s)
        index = (torch.arange(s) * count).div(s, rounding_mode="floor")
        images.append(torch.randn(c, count, count, generator=g)[:, index][:, :, index])
    return torch.stack(images)


def _gradient(n: int, c: int, s: int, g: Generator) -> Tensor:
    ramp = torch.linspace(-2, 2, s)
    angle = _per_image(n, 0.0, 2 * math.pi, g)
    plane = torch.cos(angle) * ramp[None, :] + torch.sin(angle) * ramp[:, None]
    return plane + 0.5 * _normal(n, c, s, g)


def _checkerboard(n: int, c: int, s: int, g: Generator) -> Tensor:
    row = torch.arange(s)[None, :] // _cells(n, g)[:, None]
    board = (row[:, :, None] + row[:, None, :]) % 2 * 2.0 - 1.0
    return board[:, None] + 0.3 * _normal(n, c, s, g)


def _mixture(n: int, c: int, s: int, g: Generator) -> Tensor:
    a = _per_image(n, 0.2, 0.8, g)
    return a * _normal(n, c, s, g) + (1 - a) * _unit(n, c, s, g)


def _quadrants(n: int, c: int, s: int, g: Generator) -> Tensor:
    h = s // 2
    image = torch.zeros(n, c, s, s)
    image[:, :, :h, :h] = _normal(n, c, h, g)
    image[:, :, :h, h : 2 * h] = _unit(n, c, h, g)
    image[:, :, h : 2 * h, :h] = _spectral(n, c, h, g, 1, dc=True) / 2
    image[:, :, h : 2 * h, h : 2 * h] = _signs(n, c, h, g)
    return image


def _cauchy(n: int, c: int, s: int, g: Generator) -> Tensor:
    return torch.tan(math.pi / 2 * _unit(n, c, s, g)).clamp(-3, 3)


def _exponential(n: int, c: int, s: int, g: Generator) -> Tensor:
    return torch.empty(n, c, s, s).exponential_(1.0, generator=g) - 1.0


def _laplace(n: int, c: int, s: int, g: Generator) -> Tensor:
    u = _unit(n, c, s, g)
    return -torch.sign(u) * torch.log1p(-u.abs().clamp(max=1 - 1e-7))


_GENERATORS: dict[str, Callable[[int, int, int, Generator], Tensor]] = {
    "gaussian": _normal,
    "uniform": _unit,
    "uniform_wide": lambda n, c, s, g: 2.0 * _unit(n, c, s, g),
    "poisson": _poisson,
    "pink": lambda n, c, s, g: _unit_std(_spectral(n, c, s, g, 1, dc=True)),
    "brown": lambda n, c, s, g: _unit_std(_spectral(n, c, s, g, 2, dc=True)),
    "salt_pepper": _salt_pepper,
    "sparse": _sparse,
    "blocks": _blocks,
    "gradient": _gradient,
    "checkerboard": _checkerboard,
    "mixture": _mixture,
    "quadrants": _quadrants,
    "cauchy": _cauchy,
    "exponential": _exponential,
    "laplace": _laplace,
    "pink_dc_free": lambda n, c, s, g: _unit_std(_spectral(n, c, s, g, 1, dc=False)),
    "brown_dc_free": lambda n, c, s, g: _unit_std(_spectral(n, c, s, g, 2, dc=False)),
}

ALL_FAMILIES: tuple[str, ...] = tuple(_GENERATORS)
FAMILIES: tuple[str, ...] = ALL_FAMILIES[:16]


def sample(family: str | int, n: int, size: int, generator: Generator, channels: int = 3) -> Tensor:
    """Images of one family.

    Args:
        family: a name in ``ALL_FAMILIES`` or its number, 0 to 17.
        n: how many images.
        size: height and width in pixels, at least 2.
        generator: the seeded CPU generator all randomness comes from.
        channels: of an image, the same law for each; at least 1.

    Returns:
        (n, channels, size, size) float32 in [-4, 4], unscaled (not in [0, 1]).

    Raises:
        InputError: unknown family or a size below 2.
    """
    if isinstance(family, int) and 0 <= family < len(ALL_FAMILIES):
        family = ALL_FAMILIES[family]
    if family not in _GENERATORS:
        raise unknown("noise family", str(family), ALL_FAMILIES)
    if size < 2:
        raise InputError(f"noise images of {size} pixels; expected at least 2")
    return _GENERATORS[family](n, channels, size, generator).clamp(-LIMIT, LIMIT)


def mixed_batch(families: tuple[str, ...], n: int, size: int, generator: Generator) -> Tensor:
    """A batch with families drawn evenly at random: (n, 3, size, size) float32, grouped by family."""
    counts = torch.bincount(
        torch.randint(len(families), (n,), generator=generator), minlength=len(families)
    ).tolist()
    parts = [sample(family, k, size, generator) for family, k in zip(families, counts, strict=True) if k]
    return torch.cat(parts)
