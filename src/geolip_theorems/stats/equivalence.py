"""Is a figure equal to a reference? Its whole 95 % interval has to lie within a margin that was named before.

Two one-sided tests (Schuirmann 1987), here at 2.5 % each: a difference that was not found is no equality.
"""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np

from .figure import Figure, Interval, figure


class Compared(TypedDict):
    """A figure beside a reference.

    Attributes:
        value: the reference. difference: the figure less it, with ``ci95``.
        margin: a difference as small is called none.
        equal: True, the interval is within the margin; False, it is wholly outside; None, neither is shown.
    """

    value: float
    difference: float
    ci95: Interval
    margin: float
    equal: bool | None


def compared(found: Figure, reference: float, margin: float, half: float = 0.0) -> Compared | None:
    """A figure beside a reference that is known to within ``half``; None where there is no interval.

    The two half-widths are joined as the root of the sum of squares (Zou and Donner 2008).
    """
    value, ci95 = found["value"], found["ci95"]
    if value is None or ci95 is None or not math.isfinite(reference):
        return None
    down, up = (math.hypot(end - value, half) for end in ci95)
    return against(reference, value - reference, (value - down - reference, value + up - reference), margin)


def against(reference: float, difference: float, ends: Interval, margin: float) -> Compared:
    """A difference from a reference and its interval, held against the margin."""
    low, high = ends
    outside = False if low > margin or high < -margin else None
    return {
        "value": float(reference),
        "difference": float(difference),
        "ci95": ends,
        "margin": float(margin),
        "equal": True if -margin < low and high < margin else outside,
    }


def distance_figure(found: Figure, reference: float, margin: float, half: float = 0.0) -> Figure:
    """How far a figure is from a reference, in margins: a claim ``< 1`` on it is that the two are equal.

    The interval is that of the difference, folded at 0.
    """
    beside = compared(found, reference, margin, half)
    if beside is None:
        return figure(None, None, found["n"], found["method"])
    method = f"distance from {reference:.4g} in margins of {margin:.3g}; {found['method']}"
    value, ci95 = folded(beside["difference"], beside["ci95"])
    return figure(value / margin, [end / margin for end in ci95], found["n"], method)


def folded(value: float, ends: Interval) -> tuple[float, Interval]:
    """The size of a difference and the interval of it."""
    low, high = sorted(map(abs, ends))
    return abs(value), (0.0 if ends[0] <= 0 <= ends[1] else low, high)


def largest(found: list[tuple[float, Interval]]) -> tuple[float, Interval]:
    """The largest of several sizes, with its interval: all are below a margin where its upper end is.

    No correction for their number is needed for that: every one has to pass (Berger 1982).
    """
    values, ends = zip(*found, strict=True)
    lows, highs = zip(*ends, strict=True)
    return max(values), (max(lows), max(highs))


def nested_shares(values: np.ndarray) -> dict[str, float]:
    """The shares of images, patches of an image and draws in a patch in the squared error of the mean.

    From the mean squares of the nested analysis of variance (Searle, Casella and McCulloch 1992, 3.6).

    Args:
        values: (I, P, R), R draws in each of P patches of each of I images.

    Returns:
        ``images``, ``patches``, ``draws``: shares that add to 1, components below 0 set to 0.
    """
    i, p, r = values.shape
    patch, image = values.mean(2), values.mean((1, 2))
    draws = values.var(2, ddof=1).mean() if r > 1 else 0.0
    patches = max(patch.var(1, ddof=1).mean() - draws / r, 0.0) if p > 1 else 0.0
    images = max(image.var(ddof=1) - patches / p - draws / (p * r), 0.0) if i > 1 else 0.0
    parts = np.array([images / i, patches / (i * p), draws / (i * p * r)])
    shares = parts / parts.sum() if parts.sum() > 0 else parts
    return dict(zip(("images", "patches", "draws"), map(float, shares), strict=True))
