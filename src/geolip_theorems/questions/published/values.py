"""The published values of a version, from ``published.toml``, each dated and with its source."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True)
class Published:
    """One value: ``margin`` is half the range it was given with, or None; ``shown``: as it was given."""

    value: float
    margin: float | None
    date: str
    source: str
    shown: str = ""


@lru_cache
def _content() -> bytes:
    return (files(__package__) / "published.toml").read_bytes()


def digest() -> str:
    """Of the file: figures kept under another one are not used."""
    return hashlib.sha256(_content()).hexdigest()[:16]


@lru_cache
def entries() -> tuple[dict[str, Any], ...]:
    """Every entry of the file."""
    return tuple(tomllib.loads(_content().decode())["entry"])


def published(version: str, figure: str, on: str, dataset: str = "") -> Published | None:
    """What is published of a figure of a version on ``images`` or ``noise``; None where nothing is.

    ``dataset``: the images' name; a value that was published of another set is none of theirs.
    """
    asked = {"figure": figure, "on": on, "dataset": dataset}
    for entry in entries():
        if version not in entry["versions"] or any(entry.get(key, of) != of for key, of in asked.items()):
            continue
        if "low" in entry:
            low, high = float(entry["low"]), float(entry["high"])
            value, margin, shown = (low + high) / 2, (high - low) / 2, f"{low:g} to {high:g}"
        else:
            value, margin = float(entry["value"]), entry.get("plus_minus")
            shown = f"{value:g}" + (f" ± {margin:g}" if margin else "")
        return Published(value, margin, entry["date"], entry["source"], shown)
    return None
