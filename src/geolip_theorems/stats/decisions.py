"""From figures to verdicts: when a claim holds, fails or stays open, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy

from ..io.errors import InputError

Verdict = Literal["holds", "fails", "inconclusive"]
ALPHA = 0.01
TWO_SIDED = 1.959963984540054  # of the normal distribution, 95 %
POWER = 0.80  # the chance with which a decision is promised
WORTH_SUGGESTING = 0.2  # a larger p says nothing about the size of an effect
MOST_TIMES = 100  # the present number of images; above, the sample does not suggest a number


@dataclass(frozen=True)
class Decision:
    """A verdict and why.

    Attributes:
        n_to_decide: how many images would probably decide what is inconclusive, or None.
        p: of the claim being false: the greater of the null's and of the interval's, one-sided; 0.025 where
            the interval ends on the threshold. None where nothing could be decided.
    """

    verdict: Verdict
    reason: str
    n_to_decide: int | None = None
    p: float | None = None


class Sample(NamedTuple):
    """What an estimate rests on: images, groups of them where these are what is independent, and the
    interval's half-width in standard errors where it is not Student's t for these units.
    """

    images: int | None = None
    groups: int | None = None
    reach: float | None = None


def decide(
    value: float | None,
    ci95: Sequence[float] | None,
    threshold: float,
    comparison: str,
    p: float | None = None,
    *,
    sample: Sample | None = None,
    needs_p: bool = False,
) -> Decision:
    """The verdict on the claim ``value comparison threshold``.

    Args:
        value, ci95: the estimate and the ends of its 95 % interval.
        comparison: ``">"`` or ``"<"``; ``InputError`` for another.
        p: of the claim's null, where the claim has one.
        sample: for ``n_to_decide``, see :func:`units_to_decide`.
        needs_p: the claim needs a p; without one it cannot hold.

    Returns:
        ``holds`` where the whole interval is on the claim's side and p < 0.01; ``fails`` where the whole
        interval is on the other; else ``inconclusive``. An end on the threshold is on neither side.
    """
    if comparison not in (">", "<"):
        raise InputError(f"comparison {comparison!r} is not known; expected '>' or '<'")
    if value is None or ci95 is None or not np.isfinite([value, *ci95]).all():
        return Decision("inconclusive", "the figure or its interval is undefined for these images")
    sign = 1.0 if comparison == ">" else -1.0
    distance = sign * (value - threshold)
    near, far = sorted((sign * (end - threshold)) for end in ci95)
    n, units, reach = sample or Sample()
    count = n if units is None else units
    untested, small = needs_p and p is None, p is not None and p < ALPHA
    verdict, more = "inconclusive", None
    if far < 0:
        verdict, reason = "fails", f"is wholly on the other side of {threshold:g}"
    elif near <= 0:
        reason = f"contains {threshold:g}"
        more = units_to_decide(distance, distance - near if distance > 0 else far - distance, count, reach)
        if distance > 0 and (needs_p or p is not None) and not small:  # it has to hold against its null too
            both = (more, _units_for_p(p, count))
            more = None if None in both else max(both)
    elif untested:
        reason = "is on the claim's side but its null was not tested"
    elif p is not None and not small:
        reason, more = f"is on the claim's side but p = {p:.3g}", _units_for_p(p, count)
    else:
        extra = "" if p is None else f" and p = {p:.3g}"
        verdict, reason = "holds", f"is wholly on the claim's side of {threshold:g}{extra}"
    more, words = _suggest(more, n, units)
    reason = f"the interval {ci95[0]:.4g} to {ci95[1]:.4g} {reason}{words}"
    return Decision(verdict, reason, more, None if untested else _claim_p(distance, value, ci95, sign, p))


def _claim_p(distance: float, value: float, ci95: Sequence[float], sign: float, p: float | None) -> float:
    """See :class:`Decision`; the interval's p by the normal distribution that gives it 95 %."""
    half = value - ci95[0] if sign > 0 else ci95[1] - value
    score = math.copysign(math.inf, distance) if half <= 0 else TWO_SIDED * distance / half
    return max(float(scipy.stats.norm.sf(score)), p or 0.0)


def units_to_decide(
    distance: float, half: float, units: int | None, reach: float | None = None
) -> int | None:
    """Independent units (images, or groups) at which the interval would leave the threshold.

    The least m with (reach(m) + t_0.8(m)) x error(m) <= |distance|, a decision four times in five if the
    estimate is the truth. The standard error, half / reach, shrinks with the root of the units; the reach
    keeps its tail probability.

    Args:
        distance: of the estimate from the threshold.
        half: the interval's half-width towards the threshold.
        units: at present. reach: half-width in standard errors; default Student's t, 95 %.

    Returns:
        None where the estimate is on the threshold, nothing is known of the units, or more than a hundred
        times the present number would be needed.
    """
    if units is None or units < 3 or not abs(distance) > 0 or not half > 0:
        return None
    reach = float(scipy.stats.t.ppf(0.975, units - 1)) if reach is None else reach
    tail = float(scipy.stats.t.sf(reach, units - 1))
    error = half / reach

    def excess(m: float) -> float:
        need = scipy.stats.t.isf(tail, m - 1) + scipy.stats.t.isf(1 - POWER, m - 1)
        return float(need * error * math.sqrt(units / m) - abs(distance))

    most = MOST_TIMES * units
    if excess(most) > 0:
        return None
    return math.ceil(scipy.optimize.brentq(excess, 2, most)) if excess(2) > 0 else 2


def _units_for_p(p: float | None, units: int | None) -> int | None:
    """The same for a null: its normal score is taken to grow with the root of the units."""
    if units is None or p is None or not p <= WORTH_SUGGESTING:
        return None
    need = float(scipy.stats.norm.isf(ALPHA)) + float(scipy.stats.norm.isf(1 - POWER))
    more = math.ceil(units * (need / float(scipy.stats.norm.isf(p))) ** 2)
    return more if more <= MOST_TIMES * units else None


def _suggest(more: int | None, n: int | None, units: int | None) -> tuple[int | None, str]:
    """Images that would decide, and the words for it."""
    if more is None or n is None:
        return None, ""
    if units is None:
        return more, f"; about {more:,} images would probably decide it"
    images = math.ceil(more * n / units)
    return images, f"; about {more:,} groups of images ({images:,} images) would probably decide it"
