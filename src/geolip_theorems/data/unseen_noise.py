"""Sixteen noise families that no trainer of the line is known to use, to measure a model beyond its own.

The public article does not say which sixteen it used; these are named, so that a figure can be repeated.
All have mean 0 and, before the clamp to [-4, 4], standard deviation 1, exactly or for an image; the first
ten have independent values, the others are correlated in space.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from ..io.errors import unknown
from .noise import LIMIT

Shape = tuple[int, int, int, int]


def _normal(shape: Shape, g: Generator) -> Tensor:
    return torch.randn(shape, generator=g)


def _uniform(shape: Shape, g: Generator) -> Tensor:
    """On the open interval from 0 to 1."""
    return torch.rand(shape, generator=g).clamp(1e-6, 1 - 1e-6)


def _lognormal(shape: Shape, g: Generator) -> Tensor:
    sigma = 0.5
    mean, variance = math.exp(sigma**2 / 2), math.exp(sigma**2) * (math.exp(sigma**2) - 1)
    return (torch.exp(sigma * _normal(shape, g)) - mean) / math.sqrt(variance)


def _gamma(shape: Shape, g: Generator) -> Tensor:
    two = -torch.log(_uniform(shape, g)) - torch.log(_uniform(shape, g))  # of shape 2: mean and variance 2
    return (two - 2) / math.sqrt(2)


def _student(shape: Shape, g: Generator) -> Tensor:
    squares = sum(_normal(shape, g).square() for _ in range(5))
    return _normal(shape, g) / (squares / 5).sqrt() / math.sqrt(5 / 3)


def _logistic(shape: Shape, g: Generator) -> Tensor:
    return torch.logit(_uniform(shape, g)) * (math.sqrt(3) / math.pi)


def _rayleigh(shape: Shape, g: Generator) -> Tensor:
    radius = torch.sqrt(-2 * torch.log(_uniform(shape, g)))
    return (radius - math.sqrt(math.pi / 2)) / math.sqrt(2 - math.pi / 2)


def _triangular(shape: Shape, g: Generator) -> Tensor:
    return (_uniform(shape, g) - _uniform(shape, g)) * math.sqrt(6)


def _arcsine(shape: Shape, g: Generator) -> Tensor:
    return torch.sin(math.pi * (_uniform(shape, g) - 0.5)) * math.sqrt(2)


def _product(shape: Shape, g: Generator) -> Tensor:
    return _normal(shape, g) * _normal(shape, g)


def _quantised(shape: Shape, g: Generator) -> Tensor:
    return _unit(_normal(shape, g).round())


def _rare(shape: Shape, g: Generator) -> Tensor:
    return ((_uniform(shape, g) < 0.05).float() - 0.05) / math.sqrt(0.05 * 0.95)


def _coloured(shape: Shape, g: Generator, power: float) -> Tensor:
    """White noise times |f|**power, without the zero frequency."""
    size = shape[-1]
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    return _unit(torch.fft.irfft2(torch.fft.rfft2(_normal(shape, g)) * f**power, s=(size, size)))


def _bands(shape: Shape, g: Generator) -> Tensor:
    n, c, size, _ = shape
    rows = torch.randn((n, c, size, 1), generator=g).expand(shape)
    return (rows + 0.5 * _normal(shape, g)) / math.sqrt(1.25)


def _columns(shape: Shape, g: Generator) -> Tensor:
    return _bands(shape, g).mT.contiguous()


def _smooth(shape: Shape, g: Generator) -> Tensor:
    size, sigma = shape[-1], 1.5
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    blur = torch.exp(-2 * (math.pi * sigma * f) ** 2)
    return _unit(torch.fft.irfft2(torch.fft.rfft2(_normal(shape, g)) * blur, s=(size, size)))


def _grating(shape: Shape, g: Generator) -> Tensor:
    n, c, size, _ = shape
    angle, period, phase = (torch.rand((3, n, c, 1, 1), generator=g)).unbind(0)
    angle, period, phase = math.pi * angle, 3 + 13 * period, 2 * math.pi * phase
    line = torch.arange(size, dtype=torch.float32)
    across = torch.cos(angle) * line[None, :] + torch.sin(angle) * line[:, None]
    wave = math.sqrt(2) * torch.sin(2 * math.pi * across / period + phase)
    return (wave + 0.3 * _normal(shape, g)) / math.sqrt(1.09)


def _unit(x: Tensor) -> Tensor:
    """Each image with mean 0 and standard deviation 1."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    return centred / centred.flatten(1).std(1).reshape(-1, 1, 1, 1).clamp(min=1e-8)


_GENERATORS: dict[str, Callable[[Shape, Generator], Tensor]] = {
    "lognormal": _lognormal,
    "gamma": _gamma,
    "student": _student,
    "logistic": _logistic,
    "rayleigh": _rayleigh,
    "triangular": _triangular,
    "arcsine": _arcsine,
    "product": _product,
    "quantised": _quantised,
    "rare": _rare,
    "blue": lambda shape, g: _coloured(shape, g, 0.5),
    "violet": lambda shape, g: _coloured(shape, g, 1.0),
    "rows": _bands,
    "columns": _columns,
    "smooth": _smooth,
    "grating": _grating,
}

UNSEEN_FAMILIES: tuple[str, ...] = tuple(_GENERATORS)


def sample_unseen(family: str, n: int, size: int, generator: Generator, channels: int = 3) -> Tensor:
    """Images of one of ``UNSEEN_FAMILIES``: (n, channels, size, size) float32 in [-4, 4].

    Raises:
        InputError: an unknown family.
    """
    if family not in _GENERATORS:
        raise unknown("unseen noise family", family, UNSEEN_FAMILIES)
    return _GENERATORS[family]((n, channels, size, size), generator).clamp(-LIMIT, LIMIT)
