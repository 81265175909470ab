"""A record's notes: what a reader must know before reading the figures of a question."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def notes_on(subject: Mapping[str, Any], question: str) -> list[str]:
    """The texts of a record's notes on a question."""
    notes = subject.get("notes") or []
    return [note["text"] for note in notes if question in note["questions"]]


def described(notes: list[dict[str, Any]]) -> list[str]:
    """Notes as lines: the questions, all where a note names none, then the text."""
    return [f"{', '.join(note['questions']) or 'all questions'}: {note['text']}" for note in notes]
