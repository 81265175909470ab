"""The conduit's whole pass for the larger sizes (n > 6) in vector instructions, with loops over the entries.

What numba_straight.py writes out entry by entry is here a loop when the code runs, so that the code hardly
grows with n. The order of operations is that of reference.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numba
from llvmlite import ir

from .numba_blocks import Products
from .numba_lanes import DOUBLE, FLOAT, INT, Array, Index, Tile, Vector, Whole
from .numba_setup import LANES, OPTIONS
from .numba_straight import NARROW, WIDE, laguerre_move, scale_of, verdict
from .reference import FRICTION_DELTA, LAGUERRE_STEPS, POLISH_STEPS, SETTLE_THRESHOLD

# Roots whose adjugates are computed side by side: each entry of M read serves as many.
MOST_ROOTS = 8
# x + ZERO is x, also for x = -0.
ZERO = -0.0


@numba.njit(**OPTIONS)
def looped_scratch(n):
    """Numbers of 8 bytes for the Faddeev-LeVerrier matrices of a tile, and to align them."""
    return (n - 1) * (n * n + 1) * LANES + 8


def groups(n: int) -> tuple[range, int]:
    """Where groups of roots start, and their size; the last one overlaps the one before if it must."""
    count = -(-n // MOST_ROOTS)
    size = -(-n // count)
    return range(0, n - size + 1, max(1, n - size)), size


class LoopedPath(Products):
    """The scratch of a tile on its way, and the phases that fill it."""

    def __init__(self, tile: Tile, memory: ir.Value):
        super().__init__(tile)
        n, builder = tile.n, tile.builder
        self.A, self.As, self.U, self.V = (tile.array(FLOAT, n * n) for _ in range(4))
        self.X, self.Y, self.Z = (tile.array(FLOAT, n * n) for _ in range(3))
        aligned = builder.and_(builder.add(builder.ptrtoint(memory, INT), INT(63)), INT(-64))
        memory = builder.inttoptr(aligned, DOUBLE.as_pointer())
        # M[block, k - 2] is M_k. One entry more keeps M_2 .. M_n of an entry out of the same cache set.
        self.M = Array(tile, DOUBLE, (tile.lanes // NARROW, n - 1, n * n + 1), NARROW, False, memory)
        self.c, self.search, self.z, self.roots = (tile.array(DOUBLE, n) for _ in range(4))
        self.friction, self.settle, self.coefficients = (tile.array(FLOAT, n) for _ in range(3))
        self.values, self.keys = (tile.array(FLOAT, n) for _ in range(2))
        self.s, self.asymmetry = tile.array(FLOAT, 1), tile.array(FLOAT, 1)

    def load(self, A: ir.Value) -> None:
        with self.tile.blocks(WIDE):
            self.tile.read_into(self.A, A)

    def load_gram(self, Vt: ir.Value, S: ir.Value) -> None:
        """A = Vt^T diag(S^2) Vt."""
        n, tile = self.n, self.tile
        with tile.blocks(WIDE):
            tile.read_into(self.X, Vt)
            tile.read_into(self.values, S)
            with tile.steps(0, n) as i, tile.steps(0, n) as j:
                self.X[i * n + j] = self.X[i * n + j] * self.values[i]
            self.gram(FLOAT, self.X, self.A.__setitem__)

    def scale(self) -> None:
        n, tile = self.n, self.tile
        with tile.blocks(WIDE):
            cells = tile.local(FLOAT, 10)
            cells[9] = abs(self.A[0])
            with tile.steps(1, n * n) as e:
                x = abs(self.A[e])
                cells[9] = (x > cells[9]).choose(x, cells[9])
            large = cells[9] > 2.0**60
            shrink = large.choose(2.0**-70, cells[9].like(1.0))
            for p in range(9):
                cells[p] = tile.number(FLOAT, 0.0)
            whole = 8 * (n * n // 8)
            with tile.steps(0, whole, 8) as e:
                for p in range(8):
                    x = self.A[e + p] * shrink
                    cells[p] = cells[p] + x * x
            square = cells[0]
            for p in range(1, 8):
                square = square + cells[p]
            for e in range(whole, n * n):
                x = self.A[e] * shrink
                square = square + x * x
            s = self.s[0] = scale_of(square, large, n)
            with tile.steps(0, n * n) as e:
                self.As[e] = self.A[e] / s
            cells[8] = tile.number(FLOAT, 0.0)
            with tile.steps(1, n) as i, tile.steps(0, i) as j:
                x = self.As[i * n + j] - self.As[j * n + i]
                cells[8] = cells[8] + 2.0 * (x * x)
            self.asymmetry[0] = cells[8]

    def faddeev_leverrier(self) -> None:
        """M_2 .. M_n and c_0 .. c_(n-1), float64, and the coefficients rounded to float32."""
        n, tile = self.n, self.tile
        with tile.blocks(NARROW) as block:
            A, trace = tile.local(DOUBLE, n * n), tile.local(DOUBLE, 1)
            with tile.steps(0, n * n) as e:
                A[e] = self.As[e].double()
                self.M[block, 0, e] = A[e]

            def add_to_diagonal(k: Index, c: Vector) -> None:
                def add(e: Index) -> None:
                    self.M[block, k - 2, e] = self.M[block, k - 2, e] + c

                self.diagonal(add)

            def add_terms(k: Index, first: Index, count: int) -> None:
                for e in range(count):
                    trace[0] = trace[0] + A[first + e] * self.M[block, k - 2, first + e]

            def add_entry(e: Index) -> None:
                trace[0] = trace[0] + A[e]

            trace[0] = tile.number(DOUBLE, ZERO)
            self.diagonal(add_entry)
            c = -trace[0]
            self.store_coefficient(n - 1, c)
            add_to_diagonal(2, c)
            with tile.steps(2, n) as k:
                # The trace of A M_k is one long chain of sums: it goes beside the product A M_k.
                trace[0] = tile.number(DOUBLE, ZERO)
                self.product(
                    DOUBLE,
                    lambda i, m: A[i * n + m],
                    lambda m, j: self.M[block, k - 2, m * n + j],
                    lambda e, x: self.M.__setitem__((block, k - 1, e), x),
                    lambda first, count: add_terms(k, first, count),
                )
                c = -trace[0] / self.number_of(k)
                self.store_coefficient(n - k, c)
                add_to_diagonal(k + 1, c)
            trace[0] = tile.number(DOUBLE, ZERO)
            with tile.steps(0, n * n) as e:
                add_terms(n, e, 1)
            self.store_coefficient(0, -trace[0] / float(n))

    def store_coefficient(self, j: Index, c: Vector) -> None:
        self.c[j] = self.search[j] = c
        self.coefficients[j] = c.float()

    def start(self, offsets: ir.Value) -> None:
        """z = the sorted diagonal plus its offsets."""
        n, tile = self.n, self.tile
        with tile.blocks(WIDE):
            diagonal, high = self.keys, tile.local(FLOAT, 1)
            with tile.steps(0, n) as i:
                diagonal[i] = self.As[i * (n + 1)]
                self.friction[i] = tile.number(FLOAT, 0.0)
                self.settle[i] = tile.number(FLOAT, float(LAGUERRE_STEPS))
            with tile.steps(1, n) as passed:
                high[0] = diagonal[0]
                with tile.steps(0, n - passed) as i:
                    x, y = high[0], diagonal[i + 1]
                    swap = y < x
                    diagonal[i], high[0] = swap.choose(y, x), swap.choose(x, y)
                diagonal[n - passed] = high[0]
            with tile.steps(0, n) as i:
                offset = tile.builder.load(tile.builder.gep(offsets, [i.value]))
                self.z[i] = diagonal[i].double() + tile.repeated(offset)

    def find_roots(self) -> None:
        n, tile = self.n, self.tile
        with tile.blocks(WIDE), tile.steps(0, n) as root:
            with tile.steps(0, LAGUERRE_STEPS) as step:
                self.laguerre_step(root, step)
            self.deflate(root)

    def laguerre_step(self, root: Whole, step: Whole) -> None:
        tile, x, cells = self.tile, self.z[root], self.tile.local(DOUBLE, 3)
        for place, start in enumerate((1.0, 0.0, 0.0)):
            cells[place] = tile.number(DOUBLE, start)
        with tile.steps(0, self.n - root) as passed:
            p, dp, half_d2 = (cells[t] for t in range(3))
            cells[2] = half_d2 * x + dp
            cells[1] = dp * x + p
            cells[0] = p * x + self.search[self.n - 1 - root - passed]
        p, dp, half_d2 = (cells[t] for t in range(3))
        self.friction[root] = self.friction[root] + 1.0 / (abs(dp).float() + FRICTION_DELTA)
        settled = self.settle[root]
        first = (abs(p).float() < SETTLE_THRESHOLD) & (settled >= float(LAGUERRE_STEPS))
        now = tile.repeated(tile.builder.sitofp(step.value, FLOAT))
        self.settle[root] = first.choose(now, settled)
        self.z[root] = laguerre_move(x, p, dp, half_d2, self.number_of(self.n - root))

    def deflate(self, root: Whole) -> None:
        """Synthetic division by x - z; the quotient is monic too."""
        tile, x, cells = self.tile, self.z[root], self.tile.local(DOUBLE, 2)
        top = self.n - 1 - root
        cells[0], cells[1] = tile.number(DOUBLE, 1.0), self.search[top]
        with tile.steps(0, top) as passed:
            below = top - 1 - passed
            following = self.search[below]
            cells[0] = self.search[below] = cells[1] + x * cells[0]
            cells[1] = following

    @contextmanager
    def root_groups(self) -> Iterator[tuple[Whole, int]]:
        """Emit once what is inside, as a loop over groups of roots: the first, and how many."""
        starts, size = groups(self.n)
        with self.tile.steps(starts.start, starts.stop, starts.step) as first:
            yield first, size

    def polish(self) -> None:
        """Newton on the undeflated polynomial, float64."""
        n, tile = self.n, self.tile
        with tile.blocks(NARROW), self.root_groups() as (first, size):
            x, p, dp = (tile.local(DOUBLE, size) for _ in range(3))
            for r in range(size):
                x[r] = self.z[first + r]
            with tile.steps(0, POLISH_STEPS):
                for r in range(size):
                    p[r], dp[r] = tile.number(DOUBLE, 1.0), tile.number(DOUBLE, 0.0)
                with tile.steps(0, n) as passed:
                    c = self.c[n - 1 - passed]
                    for r in range(size):
                        dp[r] = dp[r] * x[r] + p[r]
                        p[r] = p[r] * x[r] + c
                for r in range(size):
                    ok = abs(dp[r]) > 1e-30
                    x[r] = x[r] - ok.choose(p[r] / ok.choose(dp[r], 1.0), 0.0)
            for r in range(size):
                self.roots[first + r] = x[r]

    def adjugate_vectors(self) -> None:
        """The normalised column of largest norm of adj(root I - A) for each root."""
        tile = self.tile
        with tile.blocks(NARROW) as block, self.root_groups() as (first, size):
            best, most = self.largest_columns(block, [self.roots[first + r] for r in range(size)])
            for r in range(size):
                inverse = 1.0 / (most[r].sqrt() + 1e-30)
                with tile.steps(0, self.n) as i:
                    self.U[i * self.n + first + r] = (best[r, i] * inverse).float()

    def largest_columns(self, block: Whole, x: list[Vector]) -> tuple[Array, Array]:
        """For each root x[r] the largest column of its adjugate, [r, i], and its squared norm.

        Whether a column is the largest so far is known after its last entry; it is copied to best, where it
        is, beside the computation of the next column.
        """
        n, tile, size = self.n, self.tile, len(x)
        column, best = tile.local(DOUBLE, size, n), tile.local(DOUBLE, size, n)
        most, squares, entry = (tile.local(DOUBLE, size) for _ in range(3))
        is_largest = [tile.mask() for _ in range(size)]

        def keep(i: Index) -> None:
            for r in range(size):
                best[r, i] = is_largest[r].get().choose(column[r, i], best[r, i])

        with tile.steps(0, n) as j:
            for r in range(size):
                squares[r] = tile.number(DOUBLE, ZERO)
            with tile.steps(0, n) as i:
                for r in range(size):
                    entry[r] = self.M[block, 0, i * n + j]
                with tile.builder.if_then(tile.builder.icmp_signed("==", i.value, j.value)):
                    for r in range(size):
                        entry[r] = entry[r] + x[r]
                with tile.steps(1, n - 1) as k:
                    m = self.M[block, k, i * n + j]
                    for r in range(size):
                        entry[r] = entry[r] * x[r] + m
                keep(i)
                for r in range(size):
                    column[r, i] = entry[r]
                    squares[r] = squares[r] + entry[r] * entry[r]
            is_first = tile.repeated(tile.builder.icmp_signed("==", j.value, INT(0)))
            for r in range(size):
                largest = (squares[r] > most[r]) | is_first
                most[r] = largest.choose(squares[r], most[r])
                is_largest[r].set(largest)
        with tile.steps(0, n) as i:
            keep(i)
        return best, most

    def finish(self, outputs: dict[str, ir.Value], fused: ir.Value, flagged: ir.Value) -> None:
        """Newton-Schulz, Rayleigh quotients, test, order, signs; everything written to the packet's rows."""
        tile, builder = self.tile, self.tile.builder
        with tile.blocks(WIDE):
            self.orthogonalise()
            with builder.if_then(builder.not_(fused)):
                self.judge(outputs, flagged)
                self.sign_columns()
            self.order(Whole(builder, builder.select(fused, INT(0), INT(self.n))))
            tile.write_from(self.friction, outputs["friction"])
            tile.write_from(self.settle, outputs["settle"])
            with builder.if_then(builder.not_(fused)):
                tile.write_from(self.values, outputs["values"])
                tile.write_from(self.V, outputs["vectors"])
                tile.write_from(self.coefficients, outputs["coefficients"])

    def orthogonalise(self) -> None:
        """V = U after two Newton-Schulz steps, each from Y alone as in reference.py; Rayleigh quotients."""
        n, tile, A, U, V, X, Y, Z = self.n, self.tile, self.A, self.U, self.V, self.X, self.Y, self.Z

        def put_first(e: Index, x: Vector) -> None:
            Y[e], X[e] = x, 0.0 - x

        def three_minus_first(e: Index) -> None:
            X[e] = 3.0 - Y[e]

        self.gram(FLOAT, U, put_first)
        self.diagonal(three_minus_first)

        def put_second(e: Index, x: Vector) -> None:
            V[e] = x * 0.5
            Z[e] = 0.0 - x * 0.5

        def three_minus_second(e: Index) -> None:
            Z[e] = 3.0 - V[e]

        self.product(FLOAT, lambda i, k: X[i * n + k], lambda k, j: Y[k * n + j], put_second)
        self.diagonal(three_minus_second)
        self.product(
            FLOAT,
            lambda i, k: 0.5 * X[i * n + k],
            lambda k, j: Z[k * n + j],
            lambda e, x: Y.__setitem__(e, x * 0.5),
        )
        self.product(FLOAT, lambda i, k: U[i * n + k], lambda k, j: Y[k * n + j], V.__setitem__)
        self.product(FLOAT, lambda i, k: A[i * n + k], lambda k, j: V[k * n + j], X.__setitem__)
        total = tile.local(FLOAT, 1)
        with tile.steps(0, n) as j:
            total[0] = tile.number(FLOAT, ZERO)
            with tile.steps(0, n) as i:
                total[0] = total[0] + V[i * n + j] * X[i * n + j]
            self.values[j] = total[0]

    def judge(self, outputs: dict[str, ir.Value], flagged: ir.Value) -> None:
        """The residual test: ||V^T V - I||_F and ||A/s - V (L/s) V^T||_F; the test's bits to status."""
        n, tile, V, X, Y, Z = self.n, self.tile, self.V, self.X, self.Y, self.Z

        def less_one(e: Index) -> None:
            Y[e] = Y[e] - 1.0

        self.gram(FLOAT, V, Y.__setitem__)
        self.diagonal(less_one)
        inverse = 1.0 / self.s[0]
        with tile.steps(0, n) as j:
            L = self.values[j] * inverse
            with tile.steps(0, n) as i:
                X[i * n + j] = V[i * n + j] * L
        self.product(
            FLOAT,
            lambda i, k: X[i * n + k],
            lambda k, j: V[j * n + k],
            lambda e, x: Z.__setitem__(e, self.As[e] - x),
        )
        excess, misfit = tile.local(FLOAT, 1), tile.local(FLOAT, 1)
        excess[0] = misfit[0] = tile.number(FLOAT, ZERO)
        with tile.steps(0, n * n) as e:
            excess[0] = excess[0] + Y[e] * Y[e]
            misfit[0] = misfit[0] + Z[e] * Z[e]
        verdict(tile, excess[0].sqrt(), misfit[0].sqrt(), self.s[0], self.asymmetry[0], outputs, flagged)

    def sign_columns(self) -> None:
        """Each column's entry of largest magnitude, the first on a tie, becomes positive."""
        n, tile, V, decisive = self.n, self.tile, self.V, self.tile.local(FLOAT, 1)
        with tile.steps(0, n) as j:
            decisive[0] = V[j]
            with tile.steps(1, n) as i:
                x = V[i * n + j]
                decisive[0] = (abs(x) > abs(decisive[0])).choose(x, decisive[0])
            sign = (decisive[0] < 0.0).choose(-1.0, decisive[0].like(1.0))
            with tile.steps(0, n) as i:
                V[i * n + j] = V[i * n + j] * sign

    def order(self, rows: Whole) -> None:
        """values ascending, all that belongs to them likewise, of V `rows` rows; ties keep their order.

        NaN counts as infinity.
        """
        n, tile, builder, keys = self.n, self.tile, self.tile.builder, self.keys
        with tile.steps(0, n) as i:
            keys[i] = self.values[i].is_number().choose(self.values[i], math.inf)
        with tile.steps(1, n) as passed, tile.steps(0, n - passed) as i:
            swap = keys[i + 1] < keys[i]
            some = builder.bitcast(swap.value, ir.IntType(tile.width))
            with builder.if_then(builder.icmp_unsigned("!=", some, ir.IntType(tile.width)(0))):

                def exchange(array: Array, e: Index, swap: Vector = swap) -> None:
                    x, y = array[e], array[e + 1]
                    array[e], array[e + 1] = swap.choose(y, x), swap.choose(x, y)

                for array in (keys, self.values, self.friction, self.settle):
                    exchange(array, i)
                with tile.steps(0, rows) as r:
                    exchange(self.V, r * n + i)
