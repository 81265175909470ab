"""Registries: what the suite knows of a kind, by name."""

from __future__ import annotations

from typing import Protocol, TypeVar

from .errors import unknown


class Named(Protocol):
    """What a registry holds."""

    @property
    def name(self) -> str:
        """What users call it; unique."""


Entry = TypeVar("Entry", bound=Named)


class Registry(dict[str, Entry]):
    """Entries by name, in the order they were added.

    Args:
        kind: what the entries are, for errors: ``dataset``.
    """

    def __init__(self, kind: str, *entries: Entry) -> None:
        super().__init__({entry.name: entry for entry in entries})
        self.kind = kind

    def add(self, entry: Entry) -> Entry:
        """Put an entry in; one of the same name is replaced."""
        self[entry.name] = entry
        return entry

    def named(self, name: str) -> Entry:
        """The entry of this name. Raises InputError: there is none; says which are near."""
        if name not in self:
            raise unknown(self.kind, name, self)
        return self[name]
