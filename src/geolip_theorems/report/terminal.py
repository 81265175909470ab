"""What a run ends with, for people at a terminal: verdicts first, then what is to be known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.text import Text

from ..drawing.blocks import Table as Block
from ..drawing.blocks import attempt
from ..drawing.shown import Shown
from ..drawing.text import VerdictRow, about_family, described, under_headings, verdict_rows
from ..io.console import table as rich_table
from ..questions import questions

STYLES = {"holds": "green", "fails": "bold red", "inconclusive": "yellow", "not measured": "dim"}
NUMBERS = ("value", "95 % interval", "claimed", "the\ntraining's\ndoing")
WIDE_NUMBERS = ("beyond\nuntrained\nweights", "images", "script")
MOST_ROWS = 20  # of a table; more are counted, not listed
WIDE = 120  # columns from which a verdict's row has room for everything
GAP = 2


def render(subjects: Sequence[Mapping[str, Any]], console: Console, *, tables: bool = False) -> None:
    """Print every subject's verdicts, as they stand in a record, and what is known of them.

    Args:
        tables: also every figure behind them, question by question.
    """
    for number, subject in enumerate(subjects, 1):
        for heading, rows in under_headings(subject).items():
            console.rule(f"{heading}: {subject['id']}", align="left", style="bold")
            if not subject["error"]:
                console.print(verdict_table(rows, console.width))
        if subject["error"]:
            console.print(Text(subject["error"], style="bold red"))
            continue
        rows = verdict_rows(subject)
        for line in described(subject["notes"]):
            console.print(Text(f"note, {line}", style="yellow"))
        for row in filter(lambda row: row.expected, rows):
            text = f"finding, {row.question}: {row.title}: {row.word}. {row.expected}"
            console.print(Text(text, style="yellow"))
        for row in filter(lambda row: row.reading, rows):
            console.print(Text(f"{row.question}: {row.reading}"))
        if tables:
            for part in subject_tables(Shown(number, subject)):
                console.print()
                for piece in table(part, console.width):
                    console.print(piece)
    if family := about_family(subjects):
        console.print(Text(family))


def verdict_table(rows: Sequence[VerdictRow], width: int) -> RenderableType:
    """One row per verdict, a long claim folded; a narrow screen has fewer columns."""
    if not rows:
        return Text("no verdict was asked for")
    wide = width >= WIDE
    cells = [
        (
            *(row.question, Text(row.word, STYLES[row.word]), row.title),
            *(row.value, row.interval, row.claimed, row.training),
            *((row.attributed, row.images, row.script) if wide else ()),
        )
        for row in rows
    ]
    numbers = (*NUMBERS, *(WIDE_NUMBERS if wide else ()))
    made = rich_table(("", "verdict", "claim", *numbers), cells, right=numbers, wrapped=("claim",))
    made.collapse_padding = not wide
    return made


def subject_tables(shown: Shown) -> Iterator[Block]:
    """The tables of every question, as the report has them."""
    for question in questions():
        for builder in question.tables():
            yield from (block for block in attempt(builder, shown) if isinstance(block, Block))


def table(block: Block, width: int) -> Iterator[RenderableType]:
    """Title, table in as many pieces as the width asks for, the first column in each, and caption."""
    rows = [[cell.text for cell in row] for row in block.rows[:MOST_ROWS]]
    widths = [max(map(len, column)) + GAP for column in zip(block.columns, *rows, strict=True)]
    pieces: list[list[int]] = []
    for column in range(1, len(widths)):
        if not pieces or sum(widths[i] for i in pieces[-1]) + widths[column] > width:
            pieces.append([0])
        pieces[-1].append(column)
    rest = len(block.rows) - MOST_ROWS
    more = f"and {rest} more rows, see results.json. " if rest > 0 else ""
    yield Text(block.title, style="bold")
    for piece in pieces:
        names = [block.columns[i] for i in piece]
        yield rich_table(names, [[row[i] for i in piece] for row in rows], right=names[1:])
    if more + block.caption:
        yield Text(more + block.caption, style="italic")
