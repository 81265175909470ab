"""Is a subject beyond untrained weights, and beyond what takes next to no training?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..io.errors import InputError
from .units import LEAST_UNITS, Groups, Units, student_reach

LEAST_TWINS = 3  # fewer say next to nothing of their spread
SAYS = {True: "beyond", False: "on the other side of", None: "not shown, within"}


@dataclass(frozen=True)
class Attribution:
    """Whether a subject is beyond untrained weights in a claim's direction.

    Attributes:
        attributed: True, beyond one more twin; False, behind one more twin; None, not shown either way.
        reason: why, in a sentence.
        twin: the twins' ``value`` (mean), ``std``, ``n`` and the ``range`` a subject must leave: one more
            twin's, and at least from the least twin to the greatest.
        difference: subject less the mean of twins: ``value``, ``ci95`` and ``method``.
    """

    attributed: bool | None
    reason: str
    twin: dict[str, Any] | None = None
    difference: dict[str, Any] | None = None


def attribution(
    subject: Mapping[str, Any],
    twins: Sequence[Mapping[str, Any]],
    comparison: str,
    *,
    own: np.ndarray | None = None,
    others: Sequence[np.ndarray] = (),
    groups: Groups = None,
    inflation: float = 1.0,
) -> Attribution:
    """Is the subject beyond its random twins in the claim's direction?

    With d the subject's figure less the mean of k twins', e the half-width of d's 95 % interval over images
    and s the twins' standard deviation, r = sqrt(e^2 + (t s)^2 (1 + 1/k)), t Student's 97.5 % point with
    k - 1 degrees of freedom, joins the sampling interval and the 95 % prediction range of one more twin
    (Zou and Donner 2008). The subject is beyond the twins (True) where d > r and its figure is beyond every
    twin's, behind them (False) where both are so the other way, else nothing is shown (None).

    e is that of paired differences where images' contributions are given; else the intervals are joined as
    if independent: too wide, as all saw the same images.

    Args:
        subject, twins: a figure (``value``, ``ci95``), and that of models with random weights.
        comparison: the claim's, ``">"`` or ``"<"``; ``InputError`` for another.
        own, others: (R, N) the metric's influences. groups: (N,) of these images, or None.
        inflation: of the standard error of paired differences.
    """
    if comparison not in (">", "<"):
        raise InputError(f"comparison {comparison!r} is not known; expected '>' or '<'")
    if not _defined(subject):
        return Attribution(None, "the subject's figure or its interval is undefined on the controls' images")
    known = [j for j, twin in enumerate(twins) if _defined(twin)]
    k = len(known)
    if k < LEAST_TWINS:
        return Attribution(None, f"{k} random twins; at least {LEAST_TWINS} are needed to know their spread")
    values = np.array([twins[j]["value"] for j in known], np.float64)
    mean, std = float(values.mean()), float(values.std(ddof=1))
    if own is not None and len(others) == len(twins):
        sampling = _paired_half(own, [others[j] for j in known], groups, inflation)
        method = f"paired over {Units.of(groups, own.shape[1]).name}"
    else:
        sampling = math.hypot(_half(subject), np.mean([_half(twins[j]) for j in known]))
        method = "intervals joined as if independent"
    if not math.isfinite(sampling):
        return Attribution(None, f"no interval of the difference from fewer than {LEAST_UNITS} units")
    spread = student_reach(k - 1) * std
    one_more = math.hypot(sampling, spread * math.sqrt(1 + 1 / k))
    all_twins = math.hypot(sampling, spread / math.sqrt(k))
    d = subject["value"] - mean
    ends = [min(mean - one_more, float(values.min())), max(mean + one_more, float(values.max()))]
    twin = {"value": mean, "std": std, "n": k, "range": ends}
    difference = {"value": d, "ci95": [d - all_twins, d + all_twins]}
    difference["method"] = f"{method}; Student t over {k} twins"
    inside = ends[0] <= subject["value"] <= ends[1]
    answer = None if inside else (d > 0) == (comparison == ">")
    reason = (
        f"{subject['value']:.4g} against {mean:.4g} of {k} twins: {SAYS[answer]} the range of one more twin"
    )
    return Attribution(answer, f"{reason}, {ends[0]:.4g} to {ends[1]:.4g}", twin, difference)


@dataclass(frozen=True)
class Beside:
    """A subject beside one reference: the reference's ``value`` and the paired ``difference`` to it.

    Attributes:
        beyond: True, the interval of the difference is wholly in the claim's direction; False, wholly in the
            other; None, it contains 0.
    """

    name: str
    value: float
    difference: float
    ci95: list[float]
    beyond: bool | None


def beside(
    name: str,
    subject: Mapping[str, Any],
    reference: Mapping[str, Any],
    comparison: str,
    *,
    own: np.ndarray | None = None,
    other: np.ndarray | None = None,
    groups: Groups = None,
    inflation: float = 1.0,
) -> Beside | None:
    """A subject against one reference, as in :func:`attribution`; None where either is undefined."""
    if not _defined(subject) or not _defined(reference):
        return None
    if own is not None and other is not None:
        half = _paired_half(own, [other], groups, inflation)
    else:
        half = math.hypot(_half(subject), _half(reference))
    d = subject["value"] - reference["value"]
    if not math.isfinite(half):
        return None
    beyond = (d > 0) == (comparison == ">") if abs(d) > half else None
    return Beside(name, reference["value"], d, [d - half, d + half], beyond)


def beyond_all(
    twins: bool | None, references: Sequence[Beside], needed: Sequence[Sequence[str]]
) -> bool | None:
    """Whether a figure is the training's doing: beyond the twins and every reference.

    False where the twins or a reference are certainly ahead, None where anything is open or missing. At least
    one of each of the ``needed`` groups must be among the references.
    """
    answers = [twins, *(found.beyond for found in references)]
    if False in answers:
        return False
    names = {found.name for found in references}
    whole = all(names & {*group} for group in needed)
    return True if whole and None not in answers else None


def _paired_half(own: np.ndarray, others: Sequence[np.ndarray], groups: Groups, inflation: float) -> float:
    """Half-width of the interval of the mean of own - mean(others), NaN where too few units carry it.

    Repeats share their images: the standard error is that of one, root mean square over them.
    """
    difference = np.asarray(own, np.float64) - np.mean([np.asarray(o, np.float64) for o in others], axis=0)
    known = np.isfinite(difference).all(0)
    difference = difference[:, known]
    units = Units.of(groups, len(known)).take(known)
    if not units.enough:
        return math.nan
    sums = np.stack([units.sums(row - row.mean()) for row in difference])
    error = math.sqrt(units.factor * np.square(sums).sum(1).mean()) / difference.shape[1]
    return units.reach * inflation * error


def _defined(figure: Mapping[str, Any]) -> bool:
    return figure.get("value") is not None and figure.get("ci95") is not None


def _half(figure: Mapping[str, Any]) -> float:
    """The larger of an interval's two reaches."""
    return max(figure["ci95"][1] - figure["value"], figure["value"] - figure["ci95"][0])
