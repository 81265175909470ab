"""The noise families a Freckles model learns from, and sixteen that no trainer of the line is known to use.

Families 0 to 15 follow the public trainer's definitions and numbers, flat pink and brown noise included: the
floor of 1e-8 also meets the zero frequency, which outweighs every other, so families 4 and 5 are one value a
channel. ``pink_dc_free`` and ``brown_dc_free`` leave that frequency out.

The unseen families have mean 0 and, before the clamp, standard deviation 1, exactly or image by image.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..io.errors import InputError, unknown

LIMIT = 4.0  # every family is clamped to [-LIMIT, LIMIT]
FREQUENCY_FLOOR = 1e-8

Shape = tuple[int, int, int, int]  # images, channels, height and width


def _normal(shape: Shape, g: Generator) -> Tensor:
    return torch.randn(shape, generator=g)


def _unit(shape: Shape, g: Generator) -> Tensor:
    """Uniform on [-1, 1]."""
    return torch.rand(shape, generator=g) * 2 - 1


def _open(shape: Shape, g: Generator) -> Tensor:
    """Uniform on the open interval from 0 to 1."""
    return torch.rand(shape, generator=g).clamp(1e-6, 1 - 1e-6)


def _signs(shape: Shape, g: Generator) -> Tensor:
    return torch.where(torch.rand(shape, generator=g) > 0.5, 1.0, -1.0)


def _per_image(shape: Shape, low: float, high: float, g: Generator) -> Tensor:
    """One uniform number per image, shaped (n, 1, 1, 1)."""
    return (torch.rand(shape[0], generator=g) * (high - low) + low).reshape(-1, 1, 1, 1)


def _cells(shape: Shape, g: Generator) -> Tensor:
    """A cell side of 2..15 pixels an image, (n,)."""
    return torch.randint(2, 16, shape[:1], generator=g)


def _filtered(shape: Shape, g: Generator, gain: Callable[[Tensor], Tensor]) -> Tensor:
    """White noise times a function of the absolute frequency, in cycles a pixel."""
    size = shape[-1]
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    return torch.fft.irfft2(torch.fft.rfft2(_normal(shape, g)) * gain(f), s=(size, size))


def _falling(shape: Shape, g: Generator, power: int, dc: bool = True) -> Tensor:
    """White noise divided by |f|**power; without ``dc`` the zero frequency is removed."""
    zero = 1.0 if dc else 0.0
    return _filtered(
        shape, g, lambda f: torch.where(f > 0, 1.0, zero) / f.pow(power).clamp(min=FREQUENCY_FLOOR)
    )


def _unit_std(x: Tensor) -> Tensor:
    return x / (x.flatten(1).std(dim=1).reshape(-1, 1, 1, 1) + 1e-8)


def _standard(x: Tensor) -> Tensor:
    """Each image with mean 0 and standard deviation 1."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    return centred / centred.flatten(1).std(1).reshape(-1, 1, 1, 1).clamp(min=1e-8)


def _poisson(shape: Shape, g: Generator) -> Tensor:
    rate = _per_image(shape, 0.5, 20.0, g)
    return torch.poisson(rate.expand(shape), generator=g) / rate - 1.0


def _blocks(shape: Shape, g: Generator) -> Tensor:
    size, images = shape[-1], []
    for side in _cells(shape, g).tolist():
        count = size // side + 1
        # nearest enlargement to the size: pixel i shows cell floor(i * count / size)
        index = (torch.arange(size) * count).div(size, rounding_mode="floor")
        images.append(torch.randn(shape[1], count, count, generator=g)[:, index][:, :, index])
    return torch.stack(images)


def _gradient(shape: Shape, g: Generator) -> Tensor:
    ramp = torch.linspace(-2, 2, shape[-1])
    angle = _per_image(shape, 0.0, 2 * math.pi, g)
    plane = torch.cos(angle) * ramp[None, :] + torch.sin(angle) * ramp[:, None]
    return plane + 0.5 * _normal(shape, g)


def _checkerboard(shape: Shape, g: Generator) -> Tensor:
    row = torch.arange(shape[-1])[None, :] // _cells(shape, g)[:, None]
    board = (row[:, :, None] + row[:, None, :]) % 2 * 2.0 - 1.0
    return board[:, None] + 0.3 * _normal(shape, g)


def _mixture(shape: Shape, g: Generator) -> Tensor:
    a = _per_image(shape, 0.2, 0.8, g)
    return a * _normal(shape, g) + (1 - a) * _unit(shape, g)


def _quadrants(shape: Shape, g: Generator) -> Tensor:
    h = shape[-1] // 2
    part = (*shape[:2], h, h)
    image = torch.zeros(shape)
    image[:, :, :h, :h] = _normal(part, g)
    image[:, :, :h, h : 2 * h] = _unit(part, g)
    image[:, :, h : 2 * h, :h] = _falling(part, g, 1) / 2
    image[:, :, h : 2 * h, h : 2 * h] = _signs(part, g)
    return image


def _laplace(shape: Shape, g: Generator) -> Tensor:
    u = _unit(shape, g)
    return -torch.sign(u) * torch.log1p(-u.abs().clamp(max=1 - 1e-7))


def _student(shape: Shape, g: Generator) -> Tensor:
    squares = sum(_normal(shape, g).square() for _ in range(5))
    return _normal(shape, g) / (squares / 5).sqrt() / math.sqrt(5 / 3)


def _rows(shape: Shape, g: Generator) -> Tensor:
    return _standard(torch.randn((*shape[:3], 1), generator=g) + 0.5 * _normal(shape, g))


def _grating(shape: Shape, g: Generator) -> Tensor:
    n, c, size, _ = shape
    angle, period, phase = torch.rand((3, n, c, 1, 1), generator=g)
    line = torch.arange(size, dtype=torch.float32)
    across = torch.cos(math.pi * angle) * line[None, :] + torch.sin(math.pi * angle) * line[:, None]
    wave = torch.sin(2 * math.pi * (across / (3 + 13 * period) + phase))
    return _standard(wave + 0.2 * _normal(shape, g))


_TRAINED: dict[str, Callable[[Shape, Generator], Tensor]] = {
    "gaussian": _normal,
    "uniform": _unit,
    "uniform_wide": lambda s, g: 2.0 * _unit(s, g),
    "poisson": _poisson,
    "pink": lambda s, g: _unit_std(_falling(s, g, 1)),
    "brown": lambda s, g: _unit_std(_falling(s, g, 2)),
    "salt_pepper": lambda s, g: 2.0 * _signs(s, g) + 0.1 * _normal(s, g),
    "sparse": lambda s, g: 3.0 * _normal(s, g) * (torch.rand(s, generator=g) > 0.9),
    "blocks": _blocks,
    "gradient": _gradient,
    "checkerboard": _checkerboard,
    "mixture": _mixture,
    "quadrants": _quadrants,
    "cauchy": lambda s, g: torch.tan(math.pi / 2 * _unit(s, g)).clamp(-3, 3),
    "exponential": lambda s, g: torch.empty(s).exponential_(1.0, generator=g) - 1.0,
    "laplace": _laplace,
    "pink_dc_free": lambda s, g: _unit_std(_falling(s, g, 1, dc=False)),
    "brown_dc_free": lambda s, g: _unit_std(_falling(s, g, 2, dc=False)),
}
# The first ten have independent values, the others are correlated in space.
_UNSEEN: dict[str, Callable[[Shape, Generator], Tensor]] = {
    "lognormal": lambda s, g: _standard(torch.exp(0.5 * _normal(s, g))),
    "gamma": lambda s, g: (-torch.log(_open(s, g) * _open(s, g)) - 2) / math.sqrt(2),  # of shape 2
    "student": _student,  # 5 degrees of freedom
    "logistic": lambda s, g: torch.logit(_open(s, g)) * (math.sqrt(3) / math.pi),
    "rayleigh": lambda s, g: _standard(torch.sqrt(-2 * torch.log(_open(s, g)))),
    "triangular": lambda s, g: (_open(s, g) - _open(s, g)) * math.sqrt(6),
    "arcsine": lambda s, g: torch.sin(math.pi * (_open(s, g) - 0.5)) * math.sqrt(2),
    "product": lambda s, g: _normal(s, g) * _normal(s, g),
    "quantised": lambda s, g: _standard(_normal(s, g).round()),
    "rare": lambda s, g: ((_open(s, g) < 0.05).float() - 0.05) / math.sqrt(0.05 * 0.95),
    "blue": lambda s, g: _standard(_filtered(s, g, torch.sqrt)),
    "violet": lambda s, g: _standard(_filtered(s, g, lambda f: f)),
    "rows": _rows,
    "columns": lambda s, g: _rows(s, g).mT.contiguous(),
    "smooth": lambda s, g: _standard(_filtered(s, g, lambda f: torch.exp(-2 * (math.pi * 1.5 * f) ** 2))),
    "grating": _grating,
}
ALL_FAMILIES: tuple[str, ...] = tuple(_TRAINED)
FAMILIES: tuple[str, ...] = ALL_FAMILIES[:16]
UNSEEN_FAMILIES: tuple[str, ...] = tuple(_UNSEEN)


def sample(family: str | int, n: int, size: int, generator: Generator, channels: int = 3) -> Tensor:
    """Images of one family: (n, channels, size, size) float32 in [-4, 4], the same law for each channel.

    Args:
        family: a name in ``ALL_FAMILIES`` or ``UNSEEN_FAMILIES``, or a number, 0 to 17, in the former.
        size: height and width in pixels, at least 2.
        generator: the seeded CPU generator all randomness comes from.

    Raises:
        InputError: unknown family or a size below 2.
    """
    if isinstance(family, int) and 0 <= family < len(ALL_FAMILIES):
        family = ALL_FAMILIES[family]
    generate = _TRAINED.get(family) or _UNSEEN.get(family)
    if generate is None:
        raise unknown("noise family", str(family), (*ALL_FAMILIES, *UNSEEN_FAMILIES))
    if size < 2:
        raise InputError(f"noise images of {size} pixels; expected at least 2")
    return generate((n, channels, size, size), generator).clamp(-LIMIT, LIMIT)


def mixed_batch(families: tuple[str, ...], n: int, size: int, generator: Generator) -> Tensor:
    """A batch with families drawn evenly at random: (n, 3, size, size) float32, grouped by family."""
    drawn = torch.randint(len(families), (n,), generator=generator)
    counts = torch.bincount(drawn, minlength=len(families)).tolist()
    parts = [sample(family, k, size, generator) for family, k in zip(families, counts, strict=True) if k]
    return torch.cat(parts)
