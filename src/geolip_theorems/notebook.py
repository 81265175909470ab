"""Records in a notebook: measured there or read from a file, shown as verdict cards, taken as a frame."""

from __future__ import annotations

from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec

from .results.frame import frame
from .results.record import Results, SubjectRecord, finite, read_results
from .run.measure import measure as measured


class Record(SubjectRecord):
    """One model on one image set, see :class:`geolip_theorems.results.record.SubjectRecord`."""

    def to_frame(self) -> dict[str, list]:
        """Columns that ``pandas.DataFrame`` takes, see :mod:`geolip_theorems.results.frame`."""
        return frame([finite(asdict(self))])

    def _repr_html_(self) -> str:
        """The verdict cards; a notebook asks for them."""
        from .report.html.cards import fragment  # with a drawing library

        return fragment(finite(asdict(self)))


@wraps(measured)
def measure(*arguments: Any, **options: Any) -> Record:
    return Record(**vars(measured(*arguments, **options)))


def read_records(path: str | Path) -> list[Record]:
    """The subjects of a ``results.json``.

    Raises:
        InputError: see :func:`geolip_theorems.results.record.read_results`.
    """
    run = msgspec.convert(read_results(Path(path)), Results)
    return [Record(**vars(subject)) for subject in run.subjects]
