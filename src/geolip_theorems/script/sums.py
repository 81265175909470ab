"""Statistics of maps too large for memory: taken shard by shard, merged in any order.

Sums of float32 values are kept as integers, so they are exact: the same values give the same bits however
they are cut into shards and whatever the order of the merges. Gram matrices are float64 sums; merged in
another order they differ by at most ``GramSums.bound``.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

ROWS = 1024  # images a block
MANTISSA = 24  # bits of a float32
LOWEST = 148  # frexp's exponents of float32 begin at -148
GROUP = 16  # exponents that share an integer
GROUPS = (LOWEST + 128) // GROUP + 1
MOST = 1 << (63 - MANTISSA - GROUP)  # additions of the largest value before a 64-bit integer overflows


class ExactSum:
    """Sums of float32 values at each place of a shape, exact and independent of their order.

    A value is an integer of 24 bits times a power of two; integers whose powers are neighbours are added up
    in one 64-bit integer (a superaccumulator, after Kulisch, Computer Arithmetic and Validity, chapter 8).

    Args:
        shape: of the sums.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.parts = np.zeros((GROUPS, *shape), np.int64)
        self.count = 0

    def add(self, values: np.ndarray, places: np.ndarray | None = None) -> None:
        """Add rows.

        Args:
            values: (N, *shape) float32, finite; or, with ``places``, (N, *shape[1:]).
            places: (N,) which of the first axis each row is added to.

        Raises:
            OverflowError: more than 2^23 rows in all.
            ValueError: a value is not finite.
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

    def add_squares(self, values: np.ndarray) -> None:
        """Add the rows' squares, (N, *shape) float32: exact where they are above 1e-30."""
        squares = np.square(np.asarray(values, np.float64))  # 48 bits: exact in float64
        high = squares.astype(np.float32)
        self.add(high)
        self.add((squares - high).astype(np.float32))

    def merge(self, other: ExactSum) -> None:
        """Add another's sums."""
        self._more(other.count)
        self.parts += other.parts

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
    """Sums of per-image maps by class.

    Args:
        classes: how many. shape: of a map.
    """

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        self.sums = ExactSum((classes, *shape))
        self.counts = np.zeros(classes, np.int64)

    def add(self, maps: np.ndarray, labels: np.ndarray) -> None:
        """Add (N, *shape) maps of images with labels (N,)."""
        self.sums.add(maps, labels)
        self.counts += np.bincount(labels, minlength=len(self.counts))

    def merge(self, other: ClassSums) -> None:
        """Add another's."""
        self.sums.merge(other.sums)
        self.counts += other.counts

    def means(self) -> np.ndarray:
        """(C, *shape) float64; NaN for a class without images."""
        counts = self.counts.astype(np.float64).reshape(-1, *[1] * (self.sums.parts.ndim - 2))
        return np.divide(
            self.sums.value(), counts, out=np.full(self.sums.parts.shape[1:], np.nan), where=counts > 0
        )

    def mean(self) -> np.ndarray:
        """Mean over all images, float64."""
        return self.sums.value().sum(0) / self.counts.sum()


@dataclass
class Moments:
    """Count, mean, variance and range of a map's values at each place."""

    shape: tuple[int, ...]
    count: int = 0
    sums: ExactSum = field(init=False)
    squares: ExactSum = field(init=False)
    least: np.ndarray = field(init=False)
    most: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.sums, self.squares = ExactSum(self.shape), ExactSum(self.shape)
        self.least, self.most = np.full(self.shape, np.inf), np.full(self.shape, -np.inf)

    def add(self, maps: np.ndarray) -> None:
        """Add (N, *shape) maps."""
        self.count += len(maps)
        self.sums.add(maps)
        self.squares.add_squares(maps)
        zero = 0.0  # added, it makes -0 a 0: which of the two is the least depends on the order
        self.least = np.minimum(self.least, maps.min(0, initial=np.inf)) + zero
        self.most = np.maximum(self.most, maps.max(0, initial=-np.inf)) + zero

    def merge(self, other: Moments) -> None:
        """Add another's."""
        self.count += other.count
        self.sums.merge(other.sums)
        self.squares.merge(other.squares)
        self.least, self.most = np.minimum(self.least, other.least), np.maximum(self.most, other.most)

    def mean(self) -> np.ndarray:
        """(*shape) float64."""
        return self.sums.value() / self.count

    def variance(self) -> np.ndarray:
        """(*shape) float64, unbiased."""
        centred = self.squares.value() - self.sums.value() ** 2 / self.count
        return np.maximum(centred, 0) / (self.count - 1)


class HotPatches:
    """How often each patch lies above its image's mean by two standard deviations (unbiased)."""

    def __init__(self, grid: tuple[int, int]) -> None:
        self.counts = np.zeros(grid, np.int64)
        self.images = 0

    def add(self, error: np.ndarray) -> None:
        """Add (N, gh, gw) error maps."""
        flat = np.asarray(error, np.float64).reshape(len(error), -1)
        limit = flat.mean(1) + 2 * flat.std(1, ddof=1)
        self.counts += (flat > limit[:, None]).sum(0).reshape(self.counts.shape)
        self.images += len(error)

    def merge(self, other: HotPatches) -> None:
        """Add another's."""
        self.counts += other.counts
        self.images += other.images


class GramSums:
    """What a linear probe needs of its training images: X^T X, X^T Y, sums of X and counts.

    Args:
        features: p. classes: C.
    """

    def __init__(self, features: int, classes: int) -> None:
        self.gram = np.zeros((features, features))
        self.cross = np.zeros((features, classes))
        self.sums = np.zeros(features)
        self.counts = np.zeros(classes, np.int64)

    def add(self, X: np.ndarray, y: np.ndarray) -> None:
        """Add (N, p) features, multiplied in float64, and (N,) labels."""
        X = np.asarray(X, np.float64)
        self.gram += X.T @ X
        self.cross += X.T @ np.eye(len(self.counts))[y]
        self.sums += X.sum(0)
        self.counts += np.bincount(y, minlength=len(self.counts))

    def merge(self, other: GramSums) -> None:
        """Add another's."""
        self.gram += other.gram
        self.cross += other.cross
        self.sums += other.sums
        self.counts += other.counts

    def bound(self) -> np.ndarray:
        """(p, p) float64: X^T X of the same images in any order and cut differs from this by no more.

        The error of a sum of n products in any order is at most n u / (1 - n u) sum |x_i x_j|, u = 2^-53
        (Higham, Accuracy and Stability, section 3.1), and sum |x_i x_j| <= |x_i| |x_j|; twice, for two sums.
        """
        n = int(self.counts.sum())
        length = np.sqrt(np.diagonal(self.gram))
        return 2.02 * n * 2.0**-53 * np.outer(length, length)

    def ridge(
        self, penalty: float = 1.0, least_std: float = 1e-8
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The seed protocol's classifier, from the sums alone.

        Returns:
            mean (p,), std (p,) and weights (p, C): the scores of x are ``(x - mean) / std @ weights``.
        """
        n = self.counts.sum()
        mean = self.sums / n
        centred = self.gram - n * np.outer(mean, mean)
        std = np.maximum(np.sqrt(np.maximum(np.diagonal(centred), 0) / (n - 1)), least_std)
        system = centred / np.outer(std, std)
        system[np.diag_indices_from(system)] += penalty
        right = (self.cross - np.outer(mean, self.counts)) / std[:, None]
        return mean, std, np.linalg.solve(system, right)


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


def merged(parts: list) -> object:
    """All parts merged into the first, neighbours first, so that rounding grows with their logarithm."""
    while len(parts) > 1:
        for left, right in zip(parts[::2], parts[1::2], strict=False):
            left.merge(right)
        parts = parts[::2]
    return parts[0]
