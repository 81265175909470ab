"""The images under study: maps, labels, class names, units and what is missing, checked once for all."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..io.errors import InputError
from ..stats.units import Units

N_PERMUTATIONS, N_NULL = 9999, 999
MEASURES_VERSION = 6  # raised whenever a figure changes: cached analyses of another version are not used
SAME_SINCE = 4  # the oldest version whose figures of the same name are today's; intervals may differ


@dataclass(frozen=True)
class Study:
    """What a question is put to.

    Attributes:
        maps: see :class:`geolip_theorems.extraction.Maps`; parts that are None were not measured.
        seed: of every random choice.
        n_permutations: shuffles of the labels. n_null: of the pixels. Only p and nulls depend on the two.
        arrays: names of the kept arrays that are wanted, None for all; what feeds none may be left out.
        probe: the readout of the questions that train one. device: of its linear algebra.
        model, images: the loaded model and the image set, for questions asked on request; else None.
        memo: what questions share, by name.
    """

    maps: Any
    seed: int = 0
    n_permutations: int = N_PERMUTATIONS
    n_null: int = N_NULL
    arrays: frozenset[str] | None = None
    probe: str = "ridge"
    device: str = "cpu"
    model: Any = None
    images: Any = None
    memo: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.maps.error)

    @cached_property
    def labels(self) -> np.ndarray | None:
        """See :func:`image_labels`."""
        return image_labels(self.maps)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the classes; none without labels."""
        return () if self.labels is None else class_names(self.maps, self.labels)

    @cached_property
    def units(self) -> Units:
        """What is independent: images, or the groups that the maps name."""
        return Units.of(_one_per_image(self.maps, "groups"), len(self))

    @property
    def several_classes(self) -> bool:
        """Whether classes can be compared."""
        return self.labels is not None and len(np.unique(self.labels)) > 1

    def shared(self) -> dict[str, np.ndarray]:
        """What every comparison of two runs needs: ``position``, ``label`` and ``group`` (N,) int64."""
        known = {"position": np.arange(len(self)), "label": self.labels, "group": self.units.groups}
        return {name: array for name, array in known.items() if array is not None}


def _one_per_image(maps: Any, name: str) -> np.ndarray | None:
    """The maps' labels or groups, or None; ``InputError`` unless there is one per image."""
    found = getattr(maps, name, None)
    if found is None:
        return None
    found = np.asarray(found)
    if found.shape != (len(maps.error),):
        raise InputError(f"{name} have shape {found.shape}; expected ({len(maps.error)},), one per image")
    return found


def image_labels(maps: Any) -> np.ndarray | None:
    """The labels as (N,) int64, or None; ``InputError`` unless whole numbers from 0, one per image."""
    labels = _one_per_image(maps, "labels")
    if labels is None:
        return None
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels have dtype {labels.dtype}; expected whole numbers")
    if len(labels) and labels.min() < 0:
        raise InputError(f"labels hold {labels.min()}; expected class numbers from 0")
    return labels.astype(np.int64)


def class_names(maps: Any, labels: np.ndarray) -> tuple[str, ...]:
    """The names of the classes, "0", "1", .. where the maps carry none.

    ``InputError`` where a label has no name, or two classes share one.
    """
    needed = int(labels.max()) + 1 if len(labels) else 0
    names = getattr(maps, "classes", None)
    if names is None:
        return tuple(str(c) for c in range(needed))
    names = tuple(str(name) for name in names)
    if len(names) < needed:
        raise InputError(f"labels go up to {needed - 1} but there are {len(names)} class names")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"class name {twice!r} occurs twice; expected different names")
    return names
