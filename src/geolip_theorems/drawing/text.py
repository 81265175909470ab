"""Verdicts and figures as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


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


class VerdictRow(NamedTuple):
    """A verdict as every reader shows it, in texts; ``mark`` is what was expected of it, or empty."""

    question: str
    title: str
    value: str
    interval: str
    claimed: str
    images: str
    verdict: str
    attributed: str
    script: str
    mark: str


def verdict_row(verdict: Mapping[str, Any]) -> VerdictRow:
    """A verdict of a record in texts."""
    percent = is_percent(verdict)
    return VerdictRow(
        question=verdict["question"],
        title=verdict["title"],
        value=number(verdict["value"], percent),
        interval=interval(verdict["ci95"], percent),
        claimed=condition(verdict),
        images=f"{verdict['n']:,}",
        verdict=verdict["verdict"],
        attributed=attributed(verdict),
        script=number(verdict.get("script_value"), percent),
        mark="expected" if verdict["expected"] == verdict["verdict"] else "",
    )


def is_percent(verdict: Mapping[str, Any]) -> bool:
    """Whether the figure is shown in percentage points."""
    return verdict.get("unit") == "pp"


def condition(verdict: Mapping[str, Any]) -> str:
    """What the claim says of the figure: ``> 0.1``."""
    unit = " pp" if is_percent(verdict) else ""
    return f"{verdict['comparison']} {verdict['threshold'] * (100 if unit else 1):g}{unit}"


def attributed(verdict: Mapping[str, Any]) -> str:
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


def describe_verdict(verdict: Mapping[str, Any]) -> str:
    """A few lines for people: the claim, the figure with its interval, the threshold, the verdict and why."""
    row = verdict_row(verdict)
    p = "" if verdict["p"] is None else f", p = {verdict['p']:.3g}"
    probe = f" ({verdict['probe']} probe)" if verdict.get("probe") else ""
    lines = [
        f"{row.question}: {row.title}{probe}: {row.verdict.upper()}",
        f"{verdict['metric']} = {row.value}, 95 % interval {row.interval}{p}, n = {verdict['n']}; "
        f"the claim is {row.claimed}",
        verdict["reason"],
    ]
    if verdict["attribution"] is not None:
        lines.append(f"beyond untrained weights: {row.attributed} ({verdict['attribution']['reason']})")
    return "\n".join(lines)
