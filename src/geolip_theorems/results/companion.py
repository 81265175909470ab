"""The file beside ``results.json`` with the arrays of one subject: what reports draw and comparisons pair.

A compressed ``.npz`` named ``<subject id>.maps.npz``. Keys are paths: ``per_image/..`` is what a paired
comparison needs (see :class:`geolip_theorems.questions.Measured`), ``gallery/..`` and ``picture/..`` what a
report shows. The record holds its name and SHA-256, so that one never speaks for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..io import arrays as files
from ..io.arrays import describe, read
from ..io.errors import InputError
from ..io.files import file_sha256, refused

__all__ = ["PER_IMAGE", "SUFFIX", "describe", "file_name", "of_subject", "read", "write"]

SUFFIX = ".maps.npz"
PER_IMAGE = "per_image/"  # what comparisons read; other names are the report's


def file_name(subject_id: str) -> str:
    """The name of a subject's companion."""
    return subject_id + SUFFIX


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Write a companion whole or not at all, see :func:`geolip_theorems.io.arrays.write`.

    Raises:
        InputError: the folder cannot be written.
    """
    with refused(f"report folder {str(path.parent)!r}", "--report-dir"):
        return files.write(path, arrays)


def of_subject(subject: Mapping[str, Any], folder: Path) -> dict[str, np.ndarray] | None:
    """The companion of a record's subject, or None where the run wrote none.

    Raises:
        InputError: the file is missing, damaged, or not the one the record was written with.
    """
    entry = subject.get("companion")
    if not entry:
        return None
    path = folder / Path(entry["file"]).name
    arrays = read(path)
    try:
        same = file_sha256(path) == entry["sha256"]
    except OSError as error:
        raise InputError(f"companion {path.name!r} cannot be read any more: {error.strerror}") from None
    if not same:
        raise InputError(f"companion {path.name!r} is not the one its results file was written with")
    return arrays
