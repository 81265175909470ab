"""Verdicts that are expected not to hold, with the reason: findings, kept visible.

A TOML file lists them::

    [[expected]]
    model = "freckles_embedded"
    dataset = "photos"
    images = 1200
    claim = "class_cosine"
    verdict = "fails"
    reason = "photographs cut into crops have no layout that depends on their class"

A test whose verdict is the one expected is an expected failure; any other verdict fails it. An entry is
checked on so many images. On another number of the same set it is not: a claim that fails there is an
expected failure all the same, and any verdict is said to be unchecked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..io.errors import InputError, shown, unknown
from ..questions import claims
from .thresholds import read_toml

VERDICTS = ("fails", "inconclusive")
KEYS = {"model": str, "dataset": str, "images": int, "claim": str, "verdict": str, "reason": str}


@dataclass(frozen=True)
class Expectation:
    """One expected verdict; ``model`` and ``dataset`` are names as they stand in a subject's id."""

    model: str
    dataset: str
    images: int
    claim: str
    verdict: str
    reason: str

    def elsewhere(self, images: int) -> str:
        """What is said of it on another number of images."""
        return f"expected {self.verdict!r} on {self.images:,} images ({self.reason}); unchecked on {images:,}"


def load_expectations(path: Path) -> tuple[Expectation, ...]:
    """Read an expectations file.

    Raises:
        InputError: a missing or unknown key, an unknown claim or verdict, or two entries for one claim.
    """
    content = read_toml(path, "expectations")
    entries = content.get("expected", [])
    if set(content) - {"expected"} or not isinstance(entries, list):
        raise InputError(f"expectations file {path.name!r} may only hold [[expected]] tables")
    return read_expectations(path.name, entries)


def read_expectations(file: str, entries: Sequence[Any]) -> tuple[Expectation, ...]:
    """Expectations from the ``[[expected]]`` tables of a file of this name.

    Raises:
        InputError: see :func:`load_expectations`.
    """
    found = [_expectation(file, number, entry) for number, entry in enumerate(entries, 1)]
    counts = Counter((e.model, e.dataset, e.images, e.claim) for e in found)
    for key, count in counts.items():
        if count > 1:
            twice = ", ".join(shown(part, 80) for part in key)
            raise InputError(f"expectations file {file!r} has two entries for {twice}")
    return tuple(found)


def _expectation(file: str, number: int, entry: object) -> Expectation:
    where = f"expectations file {file!r}, entry {number}"
    fits = isinstance(entry, dict) and entry.keys() == KEYS.keys()
    if not fits or not all(type(entry[key]) is kind for key, kind in KEYS.items()):
        raise InputError(f"{where}: expected the entries {', '.join(KEYS)}; images a number, the others text")
    names = [claim.name for claim in claims(on_request=True)]
    condition = {"<", ">"} & set(entry["claim"].split())  # the name of a claim of one's own, known later
    if entry["claim"] not in names and not condition:
        raise unknown(f"claim in {where}", entry["claim"], names)
    if entry["verdict"] not in VERDICTS:
        raise unknown(f"verdict in {where}", entry["verdict"], VERDICTS)
    return Expectation(**entry)
