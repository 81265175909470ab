"""What every measure asks of the maps: labels, class names, groups, what is missing, checked once."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError


def image_labels(maps: Any) -> np.ndarray | None:
    """The labels as (N,) int64, or None.

    Raises:
        InputError: their number is not that of the images, or one is negative or not a whole number.
    """
    labels = getattr(maps, "labels", None)
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != (len(maps.error),):
        raise InputError(f"labels have shape {labels.shape}; expected ({len(maps.error)},), one an image")
    if not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"labels have dtype {labels.dtype}; expected whole numbers")
    if len(labels) and labels.min() < 0:
        raise InputError(f"labels hold {labels.min()}; expected class numbers from 0")
    return labels.astype(np.int64)


def class_names(maps: Any, labels: np.ndarray) -> tuple[str, ...]:
    """The names of the classes, "0", "1", .. where the maps carry none.

    Raises:
        InputError: a label has no name, or two classes share one.
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


def image_groups(maps: Any) -> np.ndarray | None:
    """Group of each image, (N,) int64 from 0 without gaps, or None: images of a group depend on each other.

    Raises:
        InputError: the number of groups' entries is not that of the images.
    """
    groups = getattr(maps, "groups", None)
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (len(maps.error),):
        raise InputError(f"groups have shape {groups.shape}; expected ({len(maps.error)},), one an image")
    return np.unique(groups, return_inverse=True)[1].astype(np.int64)


def why_absent(maps: Any, name: str) -> str | None:
    """Why there is no such map, in a sentence; None where there is one."""
    if getattr(maps, name, None) is not None:
        return None
    return (getattr(maps, "absent", None) or {}).get(name, f"the maps hold no {name}")
