"""A record as columns: pandas, polars and pyarrow make tables of them as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..drawing.text import VerdictRow

COLUMNS = ("subject", "model", "dataset", "question", "metric", "value", "low", "high", "n", "p")
COLUMNS += ("claim", "comparison", "threshold", "verdict", "beyond_untrained")


def frame(subjects: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """``COLUMNS`` by name, of subjects as in ``results.json``: rows of verdicts, then of figures without one.

    ``low`` and ``high`` are the ends of the 95 % interval; None where there is nothing.
    """
    rows = [row for subject in subjects for row in _rows(subject)]
    return {name: [row.get(name) for row in rows] for name in COLUMNS}


def _rows(subject: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    about = {"subject": subject["id"], **{part: subject[part]["name"] for part in ("model", "dataset")}}
    for verdict in subject["verdicts"]:
        beyond = {"beyond_untrained": VerdictRow(verdict).attributed}
        yield {**verdict, **about, **_ends(verdict), **beyond}
    judged = {verdict["metric"] for verdict in subject["verdicts"]}
    for name, figure in figures(subject["measurements"].get("calibrated") or {}):
        if name not in judged:
            yield {**about, "metric": name, **_ends(figure), "n": figure.get("n"), "p": figure.get("p")}


def _ends(figure: Mapping[str, Any]) -> dict[str, float | None]:
    low, high = figure.get("ci95") or (None, None)
    return {"value": figure.get("value"), "low": low, "high": high}


def figures(found: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every figure below a measurement, with its keys joined by dots."""
    for key, entry in found.items():
        if isinstance(entry, Mapping):
            here = f"{path}{key}"
            yield from [(here, entry)] if "method" in entry else figures(entry, f"{here}.")
