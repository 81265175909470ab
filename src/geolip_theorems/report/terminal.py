"""What a run ends with, for people at a terminal: verdicts first, then what is to be known of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ..drawing.blocks import Table as Block
from ..drawing.blocks import attempt
from ..drawing.shown import Shown
from ..drawing.text import VerdictRow, about_family, under_headings, verdict_rows
from ..questions import questions
from ..results.notes import described

STYLES = {"holds": "green", "fails": "bold red", "inconclusive": "yellow", "not measured": "dim"}
UNTRAINED, TRAINING = "beyond\nuntrained\nweights", "the\ntraining's\ndoing"
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
        known = [f"note, {line}" for line in described(subject["notes"])]
        for line in (*known, *findings(subject)):
            console.print(Text(line, style="yellow"))
        for row in filter(lambda row: row.reading, verdict_rows(subject)):
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
    made = Table(box=None, pad_edge=False, collapse_padding=width < WIDE)
    columns = ("", "verdict", "claim", "value", "95 % interval", "claimed", TRAINING)
    for column in (*columns, *((UNTRAINED, "images", "script") if width >= WIDE else ())):
        left = column in ("", "verdict", "claim")
        made.add_column(
            column, justify="left" if left else "right", no_wrap=column != "claim", overflow="fold"
        )
    for row in rows:
        word = Text(row.word, style=STYLES[row.word])
        cells = [row.question, word, row.title, row.value, row.interval, row.claimed, row.training]
        made.add_row(*cells, *((row.attributed, row.images, row.script) if width >= WIDE else ()))
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
        if not pieces or widths[0] + sum(widths[i] for i in pieces[-1]) + widths[column] > width:
            pieces.append([])
        pieces[-1].append(column)
    rest = len(block.rows) - MOST_ROWS
    more = f"and {rest} more rows, see results.json. " if rest > 0 else ""
    yield Text(block.title, style="bold")
    for columns in pieces:
        made = _table()
        for column in (0, *columns):
            right = column in block.numeric or column > 0
            made.add_column(block.columns[column], justify="right" if right else "left", no_wrap=True)
        for row in rows:
            made.add_row(*(row[column] for column in (0, *columns)))
        yield made
    if more + block.caption:
        yield Text(more + block.caption, style="italic")


def _table() -> Table:
    return Table(box=None, pad_edge=False)


def findings(subject: Mapping[str, Any]) -> list[str]:
    """The verdicts that were expected not to hold, on these images or on others, each with its reason."""
    found = []
    for v in subject["verdicts"]:
        if v["expected"] is not None:
            what = f"(expected {v['expected']}): {v['expected_reason']}"
        elif v.get("unchecked"):
            what = f"({v['unchecked']})"
        else:
            continue
        found.append(f"finding, {v['question']}: {v['title']}: {v['verdict']} {what}")
    return found
