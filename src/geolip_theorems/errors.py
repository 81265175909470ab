"""Errors a user can act on: one line that says what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something a user gave cannot be used. The message is a single line, shown without a traceback."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known name, or the known names when none is close."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=2, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(candidate) for candidate in close) + "?"
    return "known: " + ", ".join(known)


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry, with the nearest names suggested."""
    return InputError(f"unknown {kind} {name!r}; {nearest(name, known)}")
