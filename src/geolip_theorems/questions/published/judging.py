"""A figure beside what it could equal: the published value, random rows, untrained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...stats.attribution import LEAST_TWINS, attribution
from ...stats.equivalence import Compared, against, compared
from ...stats.figure import Figure
from ...stats.intervals import mean_figure
from ...stats.units import Groups
from .free import Free
from .values import Published

FREE, TWINS, PUBLISHED = "free value", "untrained networks", "the published value"
WORDS = {True: "equal to", False: "apart from", None: "not shown equal to"}


def judged(
    title: str,
    own: np.ndarray | Figure,
    twins: Sequence[np.ndarray | float] = (),
    groups: Groups = None,
    *,
    margin: float = 0.0,
    free: Free | None = None,
    said: Published | None = None,
) -> Figure:
    """A figure with its ``references`` and a ``reading`` of them in one line.

    Args:
        own: (I,) one number per image, or a figure that is no mean over images.
        twins: the same of each random-weight twin: arrays, or numbers. groups: of the images.
        margin: a difference as small is none. Of a published value it is half the range that was given with
            it, else this one, or where this is 0 a tenth of the value.

    Returns:
        With ``class``, ``free``: equal to random rows; ``architecture``: not so, but equal to untrained
        networks; ``learned``: apart from both, or from untrained networks where there is no free value;
        ``open``: none is shown; and ``contradicted``: apart from the published value.
    """
    found = own if isinstance(own, dict) else mean_figure(own, groups)
    beside = {
        FREE: compared(found, free.value, margin, free.half) if free else None,
        TWINS: _twins(found, own, twins, groups, margin),
        PUBLISHED: said and compared(found, said.value, said.margin or margin or abs(said.value) / 10),
    }
    references: dict[str, Any] = {name: one for name, one in beside.items() if one}
    if FREE in references:
        references[FREE] |= {"of": free.of}
    if PUBLISHED in references:
        references[PUBLISHED] |= {"date": said.date, "source": said.source, "shown": said.shown}
    kind = classed(references)
    contradicted = (beside[PUBLISHED] or {}).get("equal") is False
    more = {"references": references, "class": kind, "contradicted": contradicted, "title": title}
    return found | more | {"reading": reading(title, found, references, kind)}


def classed(references: Mapping[str, Compared]) -> str:
    """See :func:`judged`."""
    free, twins = (references.get(name, {"equal": None})["equal"] for name in (FREE, TWINS))
    if free:
        return "free"
    if twins and (free is False or FREE not in references):
        return "architecture"
    return "learned" if twins is False and (free is False or FREE not in references) else "open"


def reading(title: str, found: Figure, references: Mapping[str, Compared], kind: str) -> str:
    """``band 0.91 [0.90, 0.92]: equal to random rows (0.918), equal to untrained networks (0.92): free``."""
    ends = "" if found["ci95"] is None else " [{:.4g}, {:.4g}]".format(*found["ci95"])
    value = "undefined" if found["value"] is None else f"{found['value']:.4g}{ends}"
    said = [
        f"{WORDS[one['equal']]} {one.get('of', name)} ({one.get('shown') or format(one['value'], '.4g')})"
        for name, one in references.items()
    ]
    return f"{title} {value}: {', '.join(said) or 'nothing to compare it with'}: {kind}"


def _twins(
    found: Figure,
    own: np.ndarray | Figure,
    twins: Sequence[np.ndarray | float],
    groups: Groups,
    margin: float,
) -> Compared | None:
    """Against the mean of the twins; the interval covers their spread and the (paired) images'."""
    if len(twins) < LEAST_TWINS or found["ci95"] is None:
        return None
    paired = not isinstance(own, dict)
    exact = [{"value": float(np.mean(t)), "ci95": [float(np.mean(t))] * 2} for t in twins]
    parts = {"own": own[None], "others": [np.asarray(t)[None] for t in twins]} if paired else {}
    answer = attribution(found, exact, ">", groups=groups, **parts)
    found = answer.difference
    return found and against(answer.twin["value"], found["value"], tuple(found["ci95"]), margin)
