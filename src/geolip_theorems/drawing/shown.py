"""A subject as the report reads it: its record, its companion's arrays, and nothing taken on trust."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .text import assumed, counted


@dataclass
class Shown:
    """One subject.

    Attributes:
        number: from 1, makes ids unique in the page.
        record: the subject's entry in ``results.json``.
        arrays: of its companion, empty where there is none.
        missing: why there is none, or None.
    """

    number: int
    record: Mapping[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    missing: str | None = None

    def get(self, path: str) -> Any:
        """The entry of the measurements at keys joined by dots, or None."""
        node: Any = self.record.get("measurements") or {}
        for key in path.split("."):
            node = node.get(key) if isinstance(node, Mapping) else None
        return node

    def array(self, name: str, ndim: int) -> np.ndarray | None:
        """An array of the companion with so many axes, not empty; or None."""
        found = self.arrays.get(name)
        return found if found is not None and found.ndim == ndim and found.size else None

    def find(self, need: str | tuple[str, int] | Callable[[Shown], Any]) -> Any:
        """An entry by its path, an array by name and number of axes, or a function's value; None if empty."""
        if callable(need):
            return need(self)
        found = self.get(need) if isinstance(need, str) else self.array(*need)
        return None if isinstance(found, (Mapping, list)) and not found else found

    def threshold(self, metric: str) -> float | None:
        """The threshold of the claim on a metric, or None where none was judged."""
        found = [v["threshold"] for v in self.record["verdicts"] if v["metric"] == metric]
        return float(found[0]) if found else None

    def key(self, name: str) -> str:
        """An id of one of this subject's drawings."""
        return f"s{self.number}-{name}"

    @property
    def assumed(self) -> str | None:
        return assumed(self.record["model"])

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.record["dataset"].get("classes") or []]

    def class_name(self, index: int) -> str:
        """A class's name, or its number where it has none."""
        return self.classes[index] if 0 <= index < len(self.classes) else str(index)

    @property
    def images(self) -> int:
        return int(self.record["dataset"]["n_images"])

    def n(self, images: int) -> str:
        """``n = 300 images``, or ``n = 296 of 300 images`` where some are left out."""
        return f"n = {counted(int(images), self.images)} images"
