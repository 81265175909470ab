"""Errors a user can act on: one line that says what was given, what was expected and what to do."""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from numbers import Integral
from typing import Any

from .text import LONGEST_NAME, printable


class InputError(ValueError):
    """Something a user gave cannot be used. The message is one printable line of bounded length."""

    def __init__(self, message: object) -> None:
        super().__init__(printable(message))


def whole(value: Any, what: str, low: int, high: int | None = None) -> int:
    """The value as an int; ``InputError`` unless it is a whole number from ``low`` to ``high``."""
    right = isinstance(value, Integral) and not isinstance(value, bool)
    if not right or value < low or (high is not None and value > high):
        limits = f"above {low - 1}" if high is None else f"from {low} to {high}"
        raise InputError(f"{what} is {value!r}; expected a whole number {limits}")
    return int(value)


def shown(value: object, longest: int) -> str:
    """A value out of a file as Python writes it, printable and clipped: the whole is never written out.

    ``longest`` counts characters. Of lists and dictionaries the first entries are shown; of numbers beyond
    64 bits, which Python may refuse to print, the length.
    """
    if isinstance(value, int) and abs(value) >= 1 << 63:
        return f"(a number of {value.bit_length()} bits)"
    if isinstance(value, (str, bytes)):
        return printable(repr(value[: longest + 1]), longest)
    clipped = reprlib.Repr()
    clipped.maxlevel, clipped.maxother = 2, longest
    return printable(clipped.repr(value), longest)


def reason(error: BaseException, longest: int = 160) -> str:
    """The first line of an error's text, printable and short; its type where the text is no sentence."""
    text = (str(error).strip().splitlines() or [""])[0]
    return printable(text, longest) if " " in text else type(error).__name__


def meant(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known names; empty when none is close."""
    name = name[:LONGEST_NAME]  # the comparison takes the square of its length
    close = difflib.get_close_matches(name, list(known), n=2, cutoff=0.5)
    return "did you mean " + " or ".join(map(repr, close)) + "?" if close else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint naming the closest known name, or the known names when none is close."""
    known = list(known)
    return meant(name, known) or "known: " + ", ".join(known)


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """The error for a name that is not in a registry, with the nearest names suggested."""
    return InputError(f"unknown {kind} {printable(name, LONGEST_NAME)!r}; {nearest(name, known)}")
