"""Several models side by side: every figure with the ranks its model may have, as texts for every reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from ..compare.ranking import Place, Ranking
from .comparison import value

EXPLAINED = (
    "In brackets the ranks a model may have, 1 the best or the furthest toward the claim: all of a row hold "
    "at once with 95 %. Models whose ranks overlap are not told apart by these images."
)


def heading(ranking: Ranking) -> str:
    """What the table is of."""
    return f"{len(ranking.places)} models on {ranking.dataset}"


def tables(found: Sequence[Ranking]) -> Iterator[tuple[str, tuple[str, ...], list[list[str]]]]:
    """Heading, columns and rows of the table of each set of images."""
    for title, group in groupby(found, heading):
        rankings = list(group)
        models = (place.model for place in rankings[0].places)
        yield title, ("", "metric", *models, "told apart"), [_row(ranking) for ranking in rankings]


def _row(ranking: Ranking) -> list[str]:
    pairs = f"{ranking.apart} of {ranking.pairs} pairs"
    return [ranking.question, ranking.title, *(cell(place, ranking.unit) for place in ranking.places), pairs]


def cell(place: Place, unit: str) -> str:
    """A figure and its model's ranks: ``0.634 (1–2)``."""
    if place.ranks is None:
        return "-"
    low, high = place.ranks
    figure = value({"value": place.value, "ci95": place.ci95}, unit if unit == "pp" else "")
    ranks = f"{low}" if low == high else f"{low}–{high}"
    return f"{figure}{' pp' if unit == 'pp' else ''} ({ranks})"
