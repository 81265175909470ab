"""Text that leaves the program: what is a name to us must not be an order to a terminal or a CI runner.

A terminal obeys control characters; a CI runner obeys lines that begin with ``::`` and ``##[`` anywhere; a
fence of backticks ends a quotation on a summary page.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from typing import Any

LONGEST = 2_000  # characters of any one text; errors and notes of ours have a few hundred
LONGEST_NAME = 100  # characters of a name that are compared and shown
_ORDER = re.compile(r"^(\s*)(:(?=:)|`(?=``)|~(?=~~))|#(?=#\[)", re.M)
_MARKDOWN = re.compile(r"[\\`*_\[\]|$~]")
_LINKED = re.compile(r"[@#]|(?<=:)/(?=/)|(?<=www)\.", re.I)


def printable(text: object, longest: int = LONGEST) -> str:
    """A text in one line of at most ``longest`` characters, orders and undecodable bytes as escapes."""
    text = _clipped(str(text), longest)
    if not text.isprintable():
        text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return defused(_clipped(text, longest))


def defused(text: str) -> str:
    """A text of any number of lines in which none is an order to a CI runner or ends a quotation."""
    return _ORDER.sub(lambda found: f"{found[1] or ''}\\x{ord(found[2] or '#'):02x}", text)


def clean(value: Any) -> Any:
    """A JSON value with every text in it, keys too, printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    return value


def markdown(text: object, longest: int = LONGEST) -> str:
    """A text as itself on a page of Markdown: no markup, HTML, link or mention of anybody in it."""
    text = _MARKDOWN.sub(r"\\\g<0>", printable(text, longest))
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _LINKED.sub(r"\g<0><!-- -->", text)


def command(words: list[str]) -> str:
    """Words as a line for bash that gives exactly these words and is printable."""
    return " ".join(map(_word, words))


def _word(word: str) -> str:
    if printable(word, len(word)) == word:
        return shlex.quote(word)
    parts = (chr(c) if chr(c).isalnum() and c < 128 else f"\\x{c:02x}" for c in os.fsencode(word))
    return f"$'{''.join(parts)}'"


def _clipped(text: str, longest: int) -> str:
    return text[:longest] + ".." if len(text) > longest + len("..") else text
