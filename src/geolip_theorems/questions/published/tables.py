"""The tables of the published claims: every figure beside its three references, and its reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...drawing.blocks import Table, ends, share, table
from ...drawing.shown import Shown
from .judging import FREE, PUBLISHED, TWINS

COLUMNS = (
    "figure",
    "on",
    "value",
    "95 % interval",
    *(FREE, TWINS, PUBLISHED),
    "margin",
    "class",
    "public figure",
)
COLUMNS = (*COLUMNS, "share of images", "of patches", "of draws")


def read_figures(tree: Mapping[str, Any], on: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every figure with references below, with what it was measured on."""
    for key, value in tree.items():
        if isinstance(value, Mapping) and "references" in value:
            yield on, value
        elif isinstance(value, Mapping) and "method" not in value:
            yield from read_figures(value, key if key in ("images", "noise") else on)


def row(on: str, found: Mapping[str, Any]) -> list[Any]:
    """One figure's cells."""
    references, shares = found["references"], found.get("shares") or {}
    beside = [references.get(name, {}).get("value") for name in (FREE, TWINS, PUBLISHED)]
    margin = next((one["margin"] for one in references.values()), None)
    parts = [share(shares.get(name)) for name in ("images", "patches", "draws")]
    public = (found.get("public") or {}).get("value")
    first = [found["title"], on, found["value"], ends(found["ci95"])]
    return [*first, *beside, margin, found["class"], public, *parts]


def _numbers(name: str) -> Callable[[Shown], Table | None]:
    def numbers(shown: Shown) -> Table | None:
        found = list(read_figures(shown.get(f"calibrated.published_{name}") or {}))
        if not found:
            return None
        readings = ". ".join(f"{one['reading']}{f' (on {on})' if on else ''}" for on, one in found)
        return table(
            f"Published claim: {name.replace('_', ' ')}",
            COLUMNS,
            [row(*one) for one in found],
            f"{readings}.",
        )

    numbers.__name__ = f"{name}_numbers"
    return numbers


band_numbers = _numbers("band")
spectrum_numbers = _numbers("spectrum")
coordination_numbers = _numbers("coordination")
resolution_numbers = _numbers("resolution")
tiling_numbers = _numbers("tiling")
unseen_noise_numbers = _numbers("unseen_noise")
codebook_numbers = _numbers("codebook")
friction_numbers = _numbers("friction")
