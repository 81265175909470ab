"""Class sums as they are and as they would be if classes made no difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .units import Groups, Units

BATCH_BYTES = 64_000_000


def exchangeable(labels: np.ndarray, groups: Groups) -> str:
    """What chance may change: ``"labels of images"``, ``"labels of groups"``, ``"signs of groups"``.

    * Without groups the labels of images are shuffled.
    * Where every group is of one class (blocks of one photograph) its label is shuffled whole.
    * Where a group holds several classes, shuffling its images would take every class x group interaction
      for an effect of class. So the sign of the group's whole profile, what each class differs by from the
      group's mean, is flipped (Hemerik, Goeman and Finos 2020).
    """
    units = Units.of(groups, len(labels))
    if not units.grouped:
        return "labels of images"
    of_group = np.full(units.count, -1)
    of_group[units.index] = labels
    return "labels of groups" if (of_group[units.index] == labels).all() else "signs of groups"


@dataclass(frozen=True)
class ClassNull:
    """Units whose labels or signs chance may change, and what each adds to the sum of its class.

    Attributes:
        kind: see :func:`exchangeable`.
        sums: (U, P) each unit's summed deviations from the mean map (of its group, where signs flip).
        sizes: (U,) its images. owner: (U,) its class, 0 to C - 1.
        group: (U,) the group whose sign it has, 0 to G - 1; None where labels are shuffled.
        total: sum of squares of all images' deviations.
    """

    kind: str
    sums: np.ndarray
    sizes: np.ndarray
    owner: np.ndarray
    group: np.ndarray | None
    total: float

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray, groups: Groups) -> ClassNull:
        """Units of maps x (N, P) of classes y (N,), 0 to C - 1, in groups (N,) or none.

        Groups of a single class are left out where others hold several.
        """
        units = Units.of(groups, len(y))
        kind, index, sizes = exchangeable(y, units), units.index, units.sizes
        x = np.asarray(x, np.float64)
        off = x - x.mean(0)
        if kind == "labels of images":
            return cls(kind, off, np.ones(len(y)), y, None, np.square(off).sum())
        if kind == "labels of groups":
            first = np.unique(index, return_index=True)[1]
            sums = sums_by(off, index, units.count)
            return cls(kind, sums, sizes, y[first], None, np.square(off).sum())
        off = off - (sums_by(off, index, units.count) / sizes[:, None])[index]
        n_classes = int(y.max()) + 1
        cells, cell, counts = np.unique(index * n_classes + y, return_inverse=True, return_counts=True)
        home = cells // n_classes
        mixed = np.bincount(home)[home] > 1
        sums = sums_by(off, cell, len(cells))[mixed]
        group = np.unique(home[mixed], return_inverse=True)[1]
        owner = cells[mixed] % n_classes
        return cls(kind, sums, counts[mixed].astype(float), owner, group, np.square(off).sum())

    def observed(self, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
        """Sums of deviations (1, C, P) and counts (1, C) of the classes as they are."""
        return self._summed(self.owner[None], None, n_classes)

    def draws(self, n_classes: int, n: int, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same of n shuffles in batches, (B, C, P) and (B, C); counts are those of the shuffle.

        G groups have 2^G patterns of signs; where that is no more than n + 1, all but the observed one are
        given, once each. Cost: O(C U P) a shuffle in float32.
        """
        rng = np.random.default_rng(seed)
        batch = max(1, BATCH_BYTES // (4 * n_classes * max(1, len(self.owner))))
        patterns = None
        if self.group is not None:
            count = int(self.group.max()) + 1
            if 2**count <= n + 1:
                patterns = 1 - 2 * ((np.arange(1, 2**count)[:, None] >> np.arange(count)) & 1)
                n = len(patterns)
        for start in range(0, n, batch):
            rows = min(batch, n - start)
            owner, sign = np.tile(self.owner, (rows, 1)), None
            if self.group is None:
                owner = rng.permuted(owner, axis=1)
            else:
                flips = rng.choice([-1, 1], (rows, count)) if patterns is None else patterns[start:][:rows]
                sign = flips[:, self.group]
            yield self._summed(owner, sign, n_classes)

    def _summed(
        self, owner: np.ndarray, sign: np.ndarray | None, n_classes: int
    ) -> tuple[np.ndarray, np.ndarray]:
        # Narrow types: a comparison costs as many bytes as it reads. Counts are whole numbers below 2^24.
        owner, classes = owner.astype(np.int32, order="C"), np.arange(n_classes, dtype=np.int32)
        belongs = (owner[:, None, :] == classes[:, None]).astype(np.float32)
        counts = (belongs @ self.sizes.astype(np.float32)).astype(np.float64)
        if sign is not None:
            belongs *= sign[:, None, :].astype(np.float32)
        sums = belongs.reshape(-1, owner.shape[1]) @ self.sums.astype(np.float32)
        return sums.reshape(len(owner), n_classes, -1).astype(np.float64), np.maximum(counts, 1)

    def describe(self, null: np.ndarray, even: bool = True) -> dict[str, Any]:
        """For a figure's ``null``: what is ``shuffled``, how often; for signs ``groups``, the ``least_p``.

        Args:
            even: the statistic is the same for a pattern of signs and its opposite.
        """
        entries: dict[str, Any] = {"shuffled": self.kind, "shuffles": len(null)}
        if self.group is not None:
            count = int(self.group.max()) + 1
            entries |= {"groups": count, "least_p": max(2.0 ** (even - count), 1 / (1 + len(null)))}
        return entries


def sums_by(x: np.ndarray, index: np.ndarray, n: int) -> np.ndarray:
    """Sums of the rows of x (N, P) with the same index (N,), (n, P); 0 where there are none."""
    order = np.argsort(index, kind="stable")
    starts = np.searchsorted(index[order], np.arange(n))
    out = np.zeros((n, x.shape[1]))
    here = np.bincount(index, minlength=n) > 0
    out[here] = np.add.reduceat(x[order], starts[here], axis=0)
    return out
