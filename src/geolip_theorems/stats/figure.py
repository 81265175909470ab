"""The one form every measured figure has, in memory and in results.json."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

from msgspec import Meta

LEVEL = 0.95
Interval = tuple[float, float]


class _Defined(TypedDict):
    """What every figure has."""

    value: float | None
    ci95: Interval | None
    n: Annotated[int, Meta(ge=0)]
    method: str


class Figure(_Defined, total=False):
    """One measured figure.

    Attributes:
        value: the estimate; None where it is undefined, and ``method`` then says why.
        ci95: ends of its 95 % interval, or None.
        n: images it rests on.
        method: how the interval was found.
        null: what the figure would be, or is distributed as, where the claim is untrue.
        p: of that null. reach: half-width of the interval in standard errors, where it is not Student's t.
        units: groups of images it rests on, where these are what is independent.

    A figure may have more entries of its own; its question's measure says which.
    """

    null: Any
    p: Annotated[float, Meta(ge=0, le=1)]
    reach: float
    units: Annotated[int, Meta(ge=1)]


def figure(
    value: float | None, ci95: Sequence[float] | None, n: int, method: str, *, null: Any = None, **more: Any
) -> Figure:
    """A :class:`Figure`; a value that is not finite becomes None, an interval without one too."""
    value = None if value is None or not math.isfinite(value) else float(value)
    known = value is not None and ci95 is not None and all(map(math.isfinite, ci95))
    entries = {"value": value, "ci95": list(map(float, ci95)) if known else None}
    entries |= {"n": int(n), "method": method}
    return entries | ({} if null is None else {"null": null}) | more
