"""Sixteen noise families that no trainer of the line is known to use, to measure a model beyond its own.

The public article does not say which sixteen it used; these are named, so that a figure can be repeated.
All have mean 0 and, before the clamp to [-4, 4], standard deviation 1, exactly or image by image; the first
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


def _unit(x: Tensor) -> Tensor:
    """Each image with mean 0 and standard deviation 1."""
    centred = x - x.mean((1, 2, 3), keepdim=True)
    return centred / centred.flatten(1).std(1).reshape(-1, 1, 1, 1).clamp(min=1e-8)


def _student(shape: Shape, g: Generator) -> Tensor:
    squares = sum(_normal(shape, g).square() for _ in range(5))
    return _normal(shape, g) / (squares / 5).sqrt() / math.sqrt(5 / 3)


def _filtered(shape: Shape, g: Generator, gain: Callable[[Tensor], Tensor]) -> Tensor:
    """White noise times a function of the absolute frequency, in cycles a pixel."""
    size = shape[-1]
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :])
    return _unit(torch.fft.irfft2(torch.fft.rfft2(_normal(shape, g)) * gain(f), s=(size, size)))


def _rows(shape: Shape, g: Generator) -> Tensor:
    return _unit(torch.randn((*shape[:3], 1), generator=g) + 0.5 * _normal(shape, g))


def _grating(shape: Shape, g: Generator) -> Tensor:
    n, c, size, _ = shape
    angle, period, phase = torch.rand((3, n, c, 1, 1), generator=g)
    line = torch.arange(size, dtype=torch.float32)
    across = torch.cos(math.pi * angle) * line[None, :] + torch.sin(math.pi * angle) * line[:, None]
    wave = torch.sin(2 * math.pi * (across / (3 + 13 * period) + phase))
    return _unit(wave + 0.2 * _normal(shape, g))


# Beside each family of independent values what its name says before mean and deviation are taken out.
_GENERATORS: dict[str, Callable[[Shape, Generator], Tensor]] = {
    "lognormal": lambda s, g: _unit(torch.exp(0.5 * _normal(s, g))),
    "gamma": lambda s, g: (-torch.log(_uniform(s, g) * _uniform(s, g)) - 2) / math.sqrt(2),  # of shape 2
    "student": _student,  # 5 degrees of freedom
    "logistic": lambda s, g: torch.logit(_uniform(s, g)) * (math.sqrt(3) / math.pi),
    "rayleigh": lambda s, g: _unit(torch.sqrt(-2 * torch.log(_uniform(s, g)))),
    "triangular": lambda s, g: (_uniform(s, g) - _uniform(s, g)) * math.sqrt(6),
    "arcsine": lambda s, g: torch.sin(math.pi * (_uniform(s, g) - 0.5)) * math.sqrt(2),
    "product": lambda s, g: _normal(s, g) * _normal(s, g),
    "quantised": lambda s, g: _unit(_normal(s, g).round()),
    "rare": lambda s, g: ((_uniform(s, g) < 0.05).float() - 0.05) / math.sqrt(0.05 * 0.95),
    "blue": lambda s, g: _filtered(s, g, torch.sqrt),
    "violet": lambda s, g: _filtered(s, g, lambda f: f),
    "rows": _rows,
    "columns": lambda s, g: _rows(s, g).mT.contiguous(),
    "smooth": lambda s, g: _filtered(s, g, lambda f: torch.exp(-2 * (math.pi * 1.5 * f) ** 2)),  # sigma 1.5
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
