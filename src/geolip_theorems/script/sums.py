"""Exact sums of maps by class, taken block by block, whatever the blocks and their order."""

from __future__ import annotations

import mmap
from collections.abc import Iterator

import numpy as np

ROWS = 1024  # images per block
MANTISSA = 24  # bits of a float32
LOWEST = 148  # frexp's exponents of float32 begin at -148
GROUP = 16  # exponents that share an integer
GROUPS = (LOWEST + 128) // GROUP + 1
MOST = 1 << (63 - MANTISSA - GROUP)  # additions of the largest value before a 64-bit integer overflows


class ExactSum:
    """Sums of float32 values at each place of a shape, exact and independent of their order.

    Integers of 24 bits whose powers of two are neighbours are added up in one 64-bit integer (after Kulisch's
    superaccumulator, Computer Arithmetic and Validity, chapter 8).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.parts = np.zeros((GROUPS, *shape), np.int64)
        self.count = 0

    def add(self, values: np.ndarray, places: np.ndarray | None = None) -> None:
        """Add (N, *shape) float32 rows; with ``places`` (N,), (N, *shape[1:]) to these of the first axis.

        Raises:
            OverflowError: more than 2^23 rows in all. ValueError: a value is not finite.
        """
        values = np.asarray(values, np.float32)
        if not np.isfinite(values).all():
            raise ValueError("values that are not finite have no sum")
        self._more(len(values))
        fraction, exponent = np.frexp(values)
        exponent = exponent + LOWEST
        whole = np.ldexp(fraction, MANTISSA).astype(np.int64) << (exponent % GROUP)
        groups = exponent // GROUP
        for group in np.unique(groups[whole != 0]):
            chosen = np.where(groups == group, whole, 0)
            if places is None:
                self.parts[group] += chosen.sum(0)
            else:
                np.add.at(self.parts[group], places, chosen)

    def value(self) -> np.ndarray:
        """The sums, float64."""
        total = np.zeros(self.parts.shape[1:])
        for group in range(GROUPS):  # from the smallest up
            total += np.ldexp(self.parts[group].astype(np.float64), group * GROUP - LOWEST - MANTISSA)
        return total

    def _more(self, rows: int) -> None:
        self.count += rows
        if self.count > MOST:
            raise OverflowError(f"{self.count} additions; exact sums hold {MOST}")


class ClassSums:
    """Sums of per-image maps by class."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        self.sums = ExactSum((classes, *shape))
        self.counts = np.zeros(classes, np.int64)

    def add(self, maps: np.ndarray, labels: np.ndarray) -> None:
        """Add (N, *shape) maps of images with labels (N,)."""
        self.sums.add(maps, labels)
        self.counts += np.bincount(labels, minlength=len(self.counts))

    def means(self) -> np.ndarray:
        """(C, *shape) float64; NaN for a class without images."""
        counts = self.counts.astype(np.float64).reshape(-1, *[1] * (self.sums.parts.ndim - 2))
        return np.divide(
            self.sums.value(), counts, out=np.full(self.sums.parts.shape[1:], np.nan), where=counts > 0
        )

    def mean(self) -> np.ndarray:
        """Mean over all images, float64."""
        return self.sums.value().sum(0) / self.counts.sum()


def blocks(*arrays: np.ndarray, rows: int = ROWS) -> Iterator[tuple[np.ndarray, ...]]:
    """The same rows of each array, block by block; pages of memory-mapped files are given back behind it."""
    for start in range(0, len(arrays[0]), rows):
        yield tuple(array[start : start + rows] for array in arrays)
        for array in arrays:
            release(array)


def release(array: np.ndarray) -> None:
    """Give back the memory that a memory-mapped array's pages take; they are read again when needed."""
    base = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)
