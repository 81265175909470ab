"""What is independent of what: images, or groups of images that depend on each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from .figure import LEVEL

LEAST_UNITS = 6  # for an interval: fewer say too little of their own spread


@dataclass(frozen=True, eq=False)
class Units:
    """The independent units of N images.

    Attributes:
        index: (N,) int64, the unit of each image, 0 to ``count`` - 1.
        grouped: whether units are groups of images; else every image is one.
    """

    index: np.ndarray
    grouped: bool = False

    @classmethod
    def of(cls, groups: Groups, n: int) -> Units:
        """The units of n images: ``groups`` (N,) of any whole numbers, None or units."""
        if isinstance(groups, Units):
            return groups
        if groups is None:
            return cls(np.arange(n))
        return cls(np.unique(groups, return_inverse=True)[1], grouped=True)

    def __len__(self) -> int:
        return len(self.index)

    def take(self, images: np.ndarray) -> Units:
        """The units of some images: a mask (N,) or indices."""
        index = self.index[images]
        return Units.of(index if self.grouped else None, len(index))

    @cached_property
    def sizes(self) -> np.ndarray:
        """(U,) float64, images of each unit."""
        return np.bincount(self.index).astype(np.float64) if self.grouped else np.ones(len(self.index))

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.sizes)

    @property
    def groups(self) -> np.ndarray | None:
        """(N,) the group of each image, or None where images are the units."""
        return self.index if self.grouped else None

    @property
    def name(self) -> str:
        """What an interval counts, in words."""
        return "groups of images" if self.grouped else "images"

    @property
    def factor(self) -> float:
        """See :func:`unit_factor`."""
        return unit_factor(self.sizes)

    @property
    def df(self) -> float:
        """See :func:`degrees_of_freedom`."""
        return degrees_of_freedom(self.sizes)

    @property
    def reach(self) -> float:
        """See :func:`student_reach`."""
        return student_reach(self.df)

    @property
    def enough(self) -> bool:
        """Whether they carry an interval."""
        return self.count >= LEAST_UNITS

    @property
    def too_few(self) -> str:
        """The method of a figure that they do not carry an interval of."""
        return f"no interval from {self.count} {self.name}, fewer than {LEAST_UNITS}"

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sums over the images of each unit: (N,) -> (U,), (N, K) -> (U, K)."""
        if not self.grouped:
            return values
        if values.ndim == 1:
            return np.bincount(self.index, values)
        sums = np.zeros((self.count, *values.shape[1:]))
        np.add.at(sums, self.index, values)
        return sums


Groups = np.ndarray | Units | None


def unit_factor(sizes: np.ndarray) -> float:
    """What makes the sum of squares of units' residuals unbiased for the variance of their sum.

    U/(U-1) for U units of equal size. Residuals of large units are pulled to 0, as these make up most of
    the mean: n_u (e_u - mean e) has an expected square in proportion to n_u^2 (1 - 2 n_u / N + sum n^2 /
    N^2), if images of a unit have all in common. Infinite for a single unit.
    """
    squares, total = np.square(sizes, dtype=np.float64), float(np.sum(sizes))
    kept = (squares * (1 - 2 * sizes / total + squares.sum() / total**2)).sum()
    return float(squares.sum() / kept) if kept > 1e-9 * squares.sum() else math.inf


def degrees_of_freedom(sizes: np.ndarray) -> float:
    """Of that standard error: Kish's effective number of units, (sum n)^2 / sum n^2, less one."""
    return float(np.sum(sizes) ** 2 / np.square(sizes).sum() - 1)


def student_reach(df: float) -> float:
    """Half-width of a 95 % interval in standard errors."""
    return float(scipy.stats.t.ppf(0.5 + LEVEL / 2, df))
