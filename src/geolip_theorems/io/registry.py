"""Registries: what the suite knows of a kind, by name."""

from __future__ import annotations

from typing import Any, TypeVar

Entry = TypeVar("Entry", bound=Any)  # has a name, what users call it


class Registry(dict[str, Entry]):
    """Entries by name, in the order they were added."""

    def __init__(self, *entries: Entry) -> None:
        super().__init__({entry.name: entry for entry in entries})

    def add(self, entry: Entry) -> None:
        """Put an entry in; one of the same name is replaced."""
        self[entry.name] = entry
