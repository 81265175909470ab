"""Verdicts and figures as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..claims import CLAIMS
from ..record import Verdict

PERCENT_CLAIMS = tuple(claim.name for claim in CLAIMS if claim.percent)


def number(value: Any, percent: bool = False) -> str:
    """A figure with four significant digits, or in percentage points; a dash where there is none."""
    if value is None:
        return "-"
    return f"{100 * value:+.2f} pp" if percent else f"{value:.4g}"


def interval(ci95: Any, percent: bool = False) -> str:
    """``[low, high]``, or a dash."""
    if ci95 is None:
        return "-"
    low, high = (f"{100 * end:+.2f}" if percent else f"{end:.4g}" for end in ci95)
    return f"[{low}, {high}]"


def condition(verdict: Any) -> str:
    """What the claim says of the figure: ``> 0.1``."""
    unit = " pp" if verdict["claim"] in PERCENT_CLAIMS else ""
    return f"{verdict['comparison']} {verdict['threshold'] * (100 if unit else 1):g}{unit}"


def beyond_untrained(verdict: Any) -> str:
    """Is the subject beyond untrained weights: yes, no or not shown; a dash without twins."""
    if verdict["attribution"] is None:
        return "-"
    return {True: "yes", False: "no", None: "not shown"}[verdict["attributed"]]


def assumed(model: Mapping[str, Any]) -> str | None:
    """What a record's ``model`` entry says was assumed, since its file has no config; or None."""
    config = model.get("config")
    keys = config.get("assumed") if isinstance(config, Mapping) else None
    if not isinstance(keys, list) or not keys:
        return None
    return f"the model's file has no config; assumed at their defaults: {', '.join(map(str, keys))}"


def describe_verdict(verdict: Verdict) -> str:
    """A few lines for people: the claim, the figure with its interval, the threshold, the verdict and why."""
    percent = verdict.claim in PERCENT_CLAIMS
    p = "" if verdict.p is None else f", p = {verdict.p:.3g}"
    probe = f" ({verdict.probe} probe)" if verdict.probe else ""
    lines = [
        f"{verdict.question}: {verdict.title}{probe}: {verdict.verdict.upper()}",
        f"{verdict.metric} = {number(verdict.value, percent)}, "
        f"95 % interval {interval(verdict.ci95, percent)}{p}, n = {verdict.n}; "
        f"the claim is {condition(vars(verdict))}",
        verdict.reason,
    ]
    if verdict.attribution is not None:
        lines.append(
            f"beyond untrained weights: {beyond_untrained(vars(verdict))} ({verdict.attribution['reason']})"
        )
    return "\n".join(lines)
