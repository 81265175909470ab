"""The claims under test and their thresholds, in one place.

A claim says ``metric comparison threshold``. Its metric is a figure of the calibrated measures. A
TOML file given with ``--thresholds`` replaces thresholds by claim name::

    [thresholds]
    spatial_cv = 0.2
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .errors import InputError, printable, reason, shown, unknown
from .files import read_small

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_TOML = 256 << 10  # bytes; a thousand expectations
MOST_DOTS = 64  # a line; a key of n parts takes the square of n, and what is under it as much again
LARGEST_THRESHOLD = 1e300


@dataclass(frozen=True)
class Claim:
    """One claim of the theorem.

    Attributes:
        name: short name, as in thresholds and expectations files.
        question: ``q1`` to ``q6``.
        metric: where the figure is in ``measurements.calibrated``, keys joined by dots.
        title: the claim in a few words.
        comparison, threshold: the claim holds where metric ``>`` or ``<`` threshold.
        needs_labels: whether it compares classes.
        p_from: where the p is that the claim also needs below 0.01 on labelled images, or None.
        percent: print the figure in percentage points.
    """

    name: str
    question: str
    metric: str
    title: str
    comparison: str
    threshold: float
    needs_labels: bool = False
    p_from: str | None = None
    percent: bool = False


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "spatial_cv",
        "q1",
        "spatial_cv.corrected",
        "error varies over patches",
        ">",
        0.1,
        p_from="spatial_cv.corrected.p",
    ),
    Claim(
        "class_cosine",
        "q2",
        "class_cosine.min",
        "classes fail in different places",
        "<",
        0.99,
        needs_labels=True,
        p_from="class_cosine.min.p",
    ),
    Claim(
        "mode_share",
        "q3",
        "modes.share",
        "which mode matters varies over patches and classes",
        ">",
        0.05,
        p_from="modes.share.p",
    ),
    Claim(
        "release_chance",
        "q4",
        "lifts.release-chance",
        "release maps tell classes apart",
        ">",
        0.0,
        needs_labels=True,
        percent=True,
    ),
    Claim(
        "release_friction",
        "q4",
        "lifts.release-friction",
        "release classifies better than friction",
        ">",
        0.0,
        needs_labels=True,
        percent=True,
    ),
    Claim(
        "all_eigenvalues",
        "q5",
        "lifts.all-eigenvalues",
        "release and friction add to eigenvalues",
        ">",
        0.0,
        needs_labels=True,
        percent=True,
    ),
    Claim("gradient", "q6", "boundaries.gradient", "the model fails at boundaries", ">", 0.1),
)
NAMES = tuple(claim.name for claim in CLAIMS)


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
    """The claims with the thresholds of a TOML file, or as they stand.

    Raises:
        InputError: an unknown claim, or a threshold that is not a finite number.
    """
    if path is None:
        return CLAIMS
    content = read_toml(path, "thresholds")
    table = content.get("thresholds")
    if not isinstance(table, Mapping) or set(content) != {"thresholds"}:
        raise InputError(f"thresholds file {path.name!r} needs one table, [thresholds], with claim = number")
    for name, value in table.items():
        if name not in NAMES:
            raise unknown("claim in the thresholds file", name, NAMES)
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not abs(value) < LARGEST_THRESHOLD
        ):
            raise InputError(
                f"threshold of {name!r} is {shown(value, 60)}; expected a number, finite and below "
                f"{LARGEST_THRESHOLD:g}"
            )
    return tuple(replace(claim, threshold=float(table.get(claim.name, claim.threshold))) for claim in CLAIMS)
