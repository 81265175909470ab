"""Thresholds other than the questions' own: a TOML file given with ``--thresholds``, by claim name::

[thresholds]
spatial_cv = 0.2
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..io.errors import InputError, printable, reason
from ..io.files import read_small
from ..questions.base import Claim, claims, with_thresholds

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_TOML = 256 << 10  # bytes; a thousand expectations
MOST_DOTS = 64  # a line; a key of n parts takes the square of n, and what is under it as much again


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file as a dictionary.

    Raises:
        InputError: missing, unreadable, too large or not TOML.
    """
    content = read_small(path, f"{what} file", LARGEST_TOML)
    if max(line.count(b".") for line in content.split(b"\n")) > MOST_DOTS:
        raise InputError(
            f"{what} file {printable(path.name, 200)!r} has a line of over {MOST_DOTS} dots; shorten its "
            "keys or break it"
        )
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # tomllib leaves numbers of 4,301 digits to int()
        raise InputError(
            f"{what} file {printable(path.name, 200)!r} is not TOML: {reason(error)}; correct it there"
        ) from None


def load_claims(path: Path | None) -> tuple[Claim, ...]:
    """Every question's claims, those on request too, with a TOML file's thresholds or as they stand.

    Raises:
        InputError: an unknown claim, or a threshold that is not a finite number.
    """
    if path is None:
        return claims(on_request=True)
    content = read_toml(path, "thresholds")
    table = content.get("thresholds")
    if not isinstance(table, Mapping) or set(content) != {"thresholds"}:
        raise InputError(f"thresholds file {path.name!r} needs one table, [thresholds], with claim = number")
    return with_thresholds(table)
