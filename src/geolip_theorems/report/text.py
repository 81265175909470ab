"""Verdicts and figures as text."""

from __future__ import annotations

from typing import Any

from ..record import Verdict

PERCENT_CLAIMS = ("release_chance", "release_friction", "all_eigenvalues")


def number(value: Any, percent: bool = False) -> str:
    """A figure with four significant digits, or in points of a hundred; a dash where there is none."""
    if value is None:
        return "-"
    return f"{100 * value:+.2f} pp" if percent else f"{value:.4g}"


def interval(ci95: Any, percent: bool = False) -> str:
    """``[low, high]``, or a dash."""
    if ci95 is None:
        return "-"
    return f"[{number(ci95[0], percent)}, {number(ci95[1], percent)}]"


def describe_verdict(verdict: Verdict) -> str:
    """A few lines for people: the claim, the figure with its interval, the threshold, the verdict and why."""
    percent = verdict.claim in PERCENT_CLAIMS
    p = "" if verdict.p is None else f", p = {verdict.p:.3g}"
    lines = [
        f"{verdict.question}: {verdict.title}: {verdict.verdict.upper()}",
        f"{verdict.metric} = {number(verdict.value, percent)}, "
        f"95 % interval {interval(verdict.ci95, percent)}{p}, n = {verdict.n}; "
        f"the claim is {verdict.comparison} {number(verdict.threshold, percent)}",
        verdict.reason,
    ]
    return "\n".join(lines)
