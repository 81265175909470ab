"""The tables of the published claims: every figure beside its three references, and its reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...drawing.blocks import Table, ends, share, table
from ...drawing.shown import Shown
from .judging import FREE, PUBLISHED, TWINS

REFERENCES = (FREE, TWINS, PUBLISHED)
SHARES = ("images", "patches", "draws")
COLUMNS = ("figure", "on", "value", "95 % interval", *REFERENCES, "margin", "class", "public figure")
COLUMNS += tuple(f"share of {part}" for part in SHARES)


def read_figures(tree: Mapping[str, Any], on: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every figure with references below, with what it was measured on."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and "references" in value:
            yield on, value
        elif isinstance(value, Mapping) and "method" not in value:
            yield from read_figures(value, key if key in ("images", "noise") else on)


def _row(on: str, found: Mapping[str, Any]) -> list[Any]:
    references = found["references"]
    beside = [references.get(name, {}).get("value") for name in REFERENCES]
    margin = next((one["margin"] for one in references.values()), None)
    last = [margin, found["class"], (found.get("public") or {}).get("value")]
    parts = [share((found.get("shares") or {}).get(name)) for name in SHARES]
    return [found["title"], on, found["value"], ends(found["ci95"]), *beside, *last, *parts]


def numbers(name: str) -> Callable[[Shown], Table | None]:
    """The builder of one claim's table; the readings are its caption."""

    def published_numbers(shown: Shown) -> Table | None:
        found = list(read_figures(shown.get(f"calibrated.published_{name}") or {}))
        readings = "".join(f"{one['reading']}{f' (on {on})' if on else ''}. " for on, one in found)
        title = f"Published claim: {name.replace('_', ' ')}"
        return table(title, COLUMNS, [_row(*one) for one in found], readings.strip()) if found else None

    return published_numbers
