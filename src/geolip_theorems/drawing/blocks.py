"""What a section of the report is made of; its templates know these types by their names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from markupsafe import Markup

from .text import interval, number

BROKEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Note:
    """A plain sentence where a figure would be."""

    text: str
    wide: ClassVar[bool] = True


@dataclass(frozen=True)
class Figure:
    """A drawing: ``svg`` is markup made by :mod:`.style`, escaped there; ``data`` is a CSV's address."""

    title: str
    svg: Markup
    caption: str
    wide: bool = False
    data: str = ""


@dataclass(frozen=True)
class Tile:
    """One small map: a PNG as a data address, with what it is."""

    image: str
    label: str
    alt: str
    note: str = ""


@dataclass(frozen=True)
class Bar:
    """A colour scale: a PNG as a data address, the text at its ends and middle, and what it measures."""

    image: str
    ticks: tuple[str, ...]
    unit: str


@dataclass(frozen=True)
class Tiles:
    """Maps side by side, on one scale; ``keys`` are colours with what they stand for."""

    title: str
    tiles: list[Tile]
    caption: str
    bar: Bar | None = None
    keys: Sequence[tuple[str, str]] = ()
    rest: str = ""
    data: str = ""
    wide: bool = True


@dataclass(frozen=True)
class Row:
    """One image of the gallery: what it is and its pictures."""

    kind: str
    text: str
    tiles: list[Tile]


@dataclass(frozen=True)
class Gallery:
    """Images with their reconstruction and overlays."""

    title: str
    rows: list[Row]
    bars: list[Bar]
    caption: str
    wide: ClassVar[bool] = True


@dataclass(frozen=True)
class Cell:
    """A table's cell; ``sort`` is what its column is sorted by, a number or the text itself."""

    text: str
    sort: float | str | None = None

    @property
    def key(self) -> str:
        return self.text if self.sort is None else str(self.sort)


ABSENT = Cell("–", float("-inf"))


@dataclass(frozen=True)
class Table:
    """A sortable table: the first column are names, the ones in ``numeric`` are numbers.

    On a phone the cells of one that ``stacks`` stand one below the other, each with its column's name.
    """

    title: str
    columns: Sequence[str]
    rows: list[list[Cell]]
    numeric: frozenset[int]
    caption: str = ""
    opened: bool = False
    stacks: bool = False
    wide: ClassVar[bool] = True


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], caption: str = "") -> Table:
    """A table of strings, numbers and cells; a column of numbers only is set as one."""
    cells = [[_cell(value) for value in row] for row in rows]
    numeric = {
        i
        for i in range(len(columns))
        if any(isinstance(row[i].sort, float) for row in cells)
        and not any(isinstance(row[i].sort, str) for row in cells)
    }
    return Table(title, columns, cells, frozenset(numeric), caption)


def figure_table(title: str, figures: Mapping[str, Any]) -> Table | None:
    """The figures by name that have a value; None where none has."""
    rows = [
        [name, found["value"], ends(found.get("ci95")), p_text(found.get("p")), found["n"]]
        for name, found in figures.items()
        if isinstance(found, Mapping) and found.get("value") is not None
    ]
    return table(title, ("figure", "value", "95 % interval", "p", "images"), rows) if rows else None


def _cell(value: Any) -> Cell:
    if isinstance(value, Cell):
        return value
    if value is None:
        return ABSENT
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell(str(value), str(value))
    text = f"{value:,}" if isinstance(value, int) else number(value)
    return Cell(text, float(value))


def share(value: Any) -> Cell:
    """A share in per cent."""
    return ABSENT if value is None else Cell(f"{100 * value:.1f} %", float(value))


def points(value: Any) -> Cell:
    """A difference of shares in percentage points."""
    return ABSENT if value is None else Cell(number(value, percent=True), float(value))


def ends(ci95: Any, scale: str = "") -> Cell:
    """An interval, sorted by its lower end; ``scale`` is ``""``, ``"share"`` or ``"points"``."""
    if not ci95:
        return ABSENT
    if scale == "share":
        return Cell(f"{100 * ci95[0]:.1f} to {100 * ci95[1]:.1f} %", float(ci95[0]))
    text = interval(ci95, percent=scale == "points").strip("[]").replace(", ", " to ")
    return Cell(text, float(ci95[0]))


def p_text(p: Any) -> Cell:
    """A probability, three digits."""
    return ABSENT if p is None else Cell(f"{p:.3g}", float(p))


def attempt(build: Callable[..., Any], *arguments: Any) -> list[Any]:
    """The blocks a builder makes; a note instead where the record is not as this version writes it."""
    try:
        made = build(*arguments)
    except BROKEN as error:
        what = build.__name__.replace("_", " ")
        found = f"{type(error).__name__}: {error}"
        return [Note(f"Cannot draw {what}: the record is not as this version writes it ({found}).")]
    if made is None:
        return []
    return list(made) if isinstance(made, (list, tuple)) else [made]
