"""Whether the content of a JSON file has the parts its readers rely on."""

from __future__ import annotations

import math
from typing import Any

from .errors import shown

NUMBER = (int, float)
DEEPEST = 60  # of what is not described: far more than any record has, far less than Python can recurse


class ShapeError(ValueError):
    """Content of another shape; the message says where and what was expected."""


def check_shape(content: Any, wanted: Any, where: str = "") -> None:
    """Compare content with a description.

    Args:
        content: what ``json.load`` gave.
        wanted: a type or a tuple of them (True and False are no numbers); a set of values; a list of one
            description for all items, or of two for exactly two; a dictionary of descriptions for keys that
            must be there, those ending in ``?`` where they are; an :class:`Optional`; None for anything.

    Raises:
        ShapeError: at the first difference; or a number too large for a float, or nesting beyond reason.
    """
    if wanted is None:
        check_depth(content, where)
    elif isinstance(wanted, set):
        if not isinstance(content, str) or content not in wanted:
            raise ShapeError(f"{where} is {_shown(content)}; expected {' or '.join(sorted(wanted))}")
    elif isinstance(wanted, Optional):
        if content is not None:
            check_shape(content, wanted.wanted, where)
    elif isinstance(wanted, list):
        _check_list(content, wanted, where)
    elif isinstance(wanted, dict):
        _check_dictionary(content, wanted, where)
    else:
        _check_type(content, wanted if isinstance(wanted, tuple) else (wanted,), where)


class Optional:
    """A description that null fits too."""

    def __init__(self, wanted: Any) -> None:
        self.wanted = wanted


def check_depth(content: Any, where: str) -> None:
    """Raise ``ShapeError`` where lists and dictionaries are nested over ``DEEPEST`` deep."""
    level = [content]
    for _ in range(DEEPEST):
        level = [item for found in level for item in _items(found)]
        if not level:
            return
    raise ShapeError(f"{where} is nested over {DEEPEST} deep")


def _items(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else []


def _check_type(content: Any, kinds: tuple[type, ...], where: str) -> None:
    if not isinstance(content, kinds) or (isinstance(content, bool) and bool not in kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ShapeError(f"{where} is {_shown(content)}; expected {names}")
    if isinstance(content, int) and abs(content) >= 1 << 63:
        raise ShapeError(f"{where} is a number of {content.bit_length()} bits")
    if isinstance(content, float) and not math.isfinite(content):
        raise ShapeError(f"{where} is a number too large for a float")
    if isinstance(content, dict):
        check_depth(content, where)


def _check_list(content: Any, wanted: list[Any], where: str) -> None:
    if not isinstance(content, list) or (len(wanted) == 2 and len(content) != 2):
        kind = "a list of two" if len(wanted) == 2 else "a list"
        raise ShapeError(f"{where} is {_shown(content)}; expected {kind}")
    for number, item in enumerate(content):
        check_shape(item, wanted[0], f"{where}[{number}]")


def _check_dictionary(content: Any, wanted: dict[str, Any], where: str) -> None:
    if not isinstance(content, dict):
        raise ShapeError(f"{where or 'it'} is {_shown(content)}; expected a dictionary")
    for name, part in wanted.items():
        key = name.removesuffix("?")
        place = f"{where}.{key}" if where else key
        if key in content:
            check_shape(content[key], part, place)
        elif key == name:
            raise ShapeError(f"{place} is missing")


def _shown(content: Any) -> str:
    if isinstance(content, (dict, list)):
        return "a dictionary" if isinstance(content, dict) else f"a list of {len(content)}"
    return shown(content, 60)
