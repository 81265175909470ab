"""Products of matrices in a tile's scratch, as loops over blocks of entries whose sums stay in registers."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from .numba_lanes import DOUBLE, Array, Index, Tile, Vector, Whole


def parts(n: int) -> list[tuple[int, int, int]]:
    """0 .. n - 1, n at least 6, as (start, stop, step) of spans of four and of three entries."""
    edge = n - 3 * (-n % 4)
    return [part for part in ((0, edge, 4), (edge, n, 3)) if part[0] < part[1]]


class Products:
    """Emits products of n x n matrices; their entry (i, j) is entry i n + j of an array."""

    def __init__(self, tile: Tile):
        self.tile, self.n = tile, tile.n

    def number_of(self, x: Whole) -> Vector:
        """x in every lane, float64."""
        return self.tile.repeated(self.tile.builder.sitofp(x.value, DOUBLE))

    def product(
        self,
        kind: ir.Type,
        x: Callable[[Index, Index], Vector],
        y: Callable[[Index, Index], Vector],
        put: Callable[[Index, Vector], None],
        beside: Callable[[Index, int], None] = lambda first, count: None,
    ) -> None:
        """put(i n + j, the sum over k of x(i, k) y(k, j)) for all entries.

        beside(first, count) is emitted after each block; its spans are all the entries, in order.
        """
        for start_i, stop_i, height in parts(self.n):
            with self.tile.steps(start_i, stop_i, height) as i:
                for start_j, stop_j, width in parts(self.n):
                    sums = self.tile.local(kind, height, width)
                    with self.tile.steps(start_j, stop_j, width) as j:
                        self.block(sums, lambda k, a, i=i: x(i + a, k), lambda k, b, j=j: y(k, j + b))
                        for a in range(height):
                            for b in range(width):
                                put((i + a) * self.n + j + b, sums[a, b])
                        beside(i * self.n + j * height, height * width)

    def block(self, sums: Array, x: Callable, y: Callable) -> None:
        """sums[a, b] = the sum over k of x(k, a) y(k, b)."""

        def terms(k: Index) -> dict[tuple[int, int], Vector]:
            left, right = ([f(k, t) for t in range(size)] for f, size in zip((x, y), sums.shape, strict=True))
            return {(a, b): p * q for a, p in enumerate(left) for b, q in enumerate(right)}

        for place, term in terms(0).items():
            sums[place] = term
        with self.tile.steps(1, self.n) as k:
            for place, term in terms(k).items():
                sums[place] = sums[place] + term

    def gram(self, kind: ir.Type, V: Array, put: Callable[[Index, Vector], None]) -> None:
        n = self.n
        self.product(kind, lambda i, k: V[k * n + i], lambda k, j: V[k * n + j], put)

    def diagonal(self, X: Callable[[Index], None]) -> None:
        """X(entry) for the entries of the diagonal."""
        with self.tile.steps(0, self.n) as i:
            X(i * (self.n + 1))
