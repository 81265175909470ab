"""From figures to verdicts: when a claim holds, fails or stays open, and when it is the model's doing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy import stats

from ..errors import InputError

Verdict = Literal["holds", "fails", "inconclusive"]
ALPHA = 0.01
Z_INTERVAL = 1.959964  # half-width of a 95 % interval in standard errors
Z_POWER = 0.841621  # for a decision four times in five
HOPELESS = 1e4  # an interval that would have to shrink by more suggests no number of images


@dataclass(frozen=True)
class Decision:
    """A verdict, why, and, where it is inconclusive, how many images would probably decide it (or None)."""

    verdict: Verdict
    reason: str
    n_to_decide: int | None = None


@dataclass(frozen=True)
class Attribution:
    """Whether a claim is the trained model's doing; None where that cannot be told.

    Attributes:
        twin: the random twins' ``value`` (mean), ``std``, ``n`` and the ``range`` a subject must leave.
    """

    attributed: bool | None
    reason: str
    twin: dict[str, Any] | None = None


def decide(
    value: float | None,
    ci95: Sequence[float] | None,
    threshold: float,
    comparison: str,
    p: float | None = None,
    *,
    n: int | None = None,
    needs_p: bool = False,
    alpha: float = ALPHA,
) -> Decision:
    """The verdict on the claim ``value comparison threshold``.

    Args:
        value, ci95: the estimate and the ends of its 95 % interval.
        comparison: ``">"`` or ``"<"``.
        p: of the claim's null, where the claim has one.
        n: images the estimate rests on, for ``n_to_decide``.
        needs_p: the claim needs a p; without one it cannot hold.

    Returns:
        ``holds`` where the whole interval is on the claim's side and p < alpha; ``fails`` where the whole
        interval is on the other; else ``inconclusive``. An end on the threshold is on neither side.
        ``n_to_decide`` scales the interval with one over the square root of n until the verdict would be
        reached with a probability of 80 %, if the value is the true one.

    Raises:
        InputError: another comparison.
    """
    if comparison not in (">", "<"):
        raise InputError(f"comparison {comparison!r} is not known; expected '>' or '<'")
    if value is None or ci95 is None or not np.isfinite([value, *ci95]).all():
        return Decision("inconclusive", "the figure or its interval is undefined for these images")
    sign = 1.0 if comparison == ">" else -1.0
    near, far = sorted((sign * (end - threshold)) for end in ci95)
    span = f"the interval {ci95[0]:.4g} to {ci95[1]:.4g}"
    if far < 0:
        return Decision("fails", f"{span} is wholly on the other side of {threshold:g}")
    if near <= 0:
        more = _images_for_interval(sign * (value - threshold), near, far, n)
        return Decision("inconclusive", f"{span} holds {threshold:g}{_suggest(more)}", more)
    if p is None and needs_p:
        return Decision("inconclusive", f"{span} is on the claim's side but its null was not tested")
    if p is not None and not p < alpha:
        more = _images_for_p(p, alpha, n)
        return Decision(
            "inconclusive", f"{span} is on the claim's side but p = {p:.3g}{_suggest(more)}", more
        )
    extra = "" if p is None else f" and p = {p:.3g}"
    return Decision("holds", f"{span} is wholly on the claim's side of {threshold:g}{extra}")


def _images_for_interval(distance: float, near: float, far: float, n: int | None) -> int | None:
    if n is None or distance == 0:
        return None
    reach = distance - near if distance > 0 else far - distance
    ratio = reach / abs(distance)
    if not ratio < HOPELESS:
        return None
    return math.ceil(n * (ratio * (Z_INTERVAL + Z_POWER) / Z_INTERVAL) ** 2)


def _images_for_p(p: float, alpha: float, n: int | None) -> int | None:
    seen = float(stats.norm.isf(p))
    if n is None or not seen > 0:
        return None
    ratio = (float(stats.norm.isf(alpha)) + Z_POWER) / seen
    return math.ceil(n * ratio**2) if ratio < HOPELESS else None


def _suggest(n: int | None) -> str:
    return "" if n is None else f"; about {n:,} images would probably decide it"


def attribution(
    subject: Mapping[str, Any], twins: Sequence[Mapping[str, Any]], comparison: str
) -> Attribution:
    """Is the subject beyond its random twins in the claim's direction?

    The range to leave joins the 95 % prediction range of one more twin (mean and standard deviation over
    the twins, Student's t) with every twin's own interval; the subject's whole interval must be past it.
    Fewer than two twins have no spread, and the answer is None.

    Args:
        subject: a figure (``value``, ``ci95``) measured as the twins were, on the same images.
        twins: the same figure of models of the same shape with random weights.
        comparison: the claim's, ``">"`` or ``"<"``.
    """
    if comparison not in (">", "<"):
        raise InputError(f"comparison {comparison!r} is not known; expected '>' or '<'")
    known = [t for t in twins if t.get("value") is not None]
    if subject.get("value") is None or subject.get("ci95") is None:
        return Attribution(None, "the subject's figure or its interval is undefined")
    if len(known) < 2:
        return Attribution(None, f"{len(known)} random twins; at least 2 are needed for a spread")
    values = np.array([t["value"] for t in known], np.float64)
    mean, std = float(values.mean()), float(values.std(ddof=1))
    reach = float(stats.t.ppf(0.975, len(values) - 1)) * std * math.sqrt(1 + 1 / len(values))
    ends = [end for t in known if t.get("ci95") is not None for end in t["ci95"]]
    low, high = min([mean - reach, *ends]), max([mean + reach, *ends])
    twin = {"value": mean, "std": std, "n": len(known), "range": [low, high]}
    beyond = subject["ci95"][0] > high if comparison == ">" else subject["ci95"][1] < low
    place = "beyond" if beyond else "not beyond"
    text = f"interval {subject['ci95'][0]:.4g} to {subject['ci95'][1]:.4g} is {place} the twins' range"
    return Attribution(bool(beyond), f"{text} {low:.4g} to {high:.4g}", twin)


def attributed(
    subject: Mapping[str, Any], twins: Sequence[Mapping[str, Any]], comparison: str
) -> bool | None:
    """:func:`attribution`'s answer alone."""
    return attribution(subject, twins, comparison).attributed
