"""The conduit's whole pass for the smaller sizes (n <= 6), entry by entry in vector instructions.

Matrices live in vector registers as far as they fit; what passes from one phase to the next lies in the
tile's scratch. The order of operations is that of reference.py. Products by a leading coefficient of 1 are
left out, and so are sums with a leading 0: they change no value.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from llvmlite import ir
from numba.core import cgutils

from .numba_lanes import BYTE, DOUBLE, FLOAT, INT, Tile, Vector, total
from .numba_setup import FAILED, SUSPECT, SUSPECT_ASYMMETRY, TEST_LIMIT
from .reference import FRICTION_DELTA, LAGUERRE_STEPS, POLISH_STEPS, SETTLE_THRESHOLD, SMALLEST_SCALE

# Lanes in a register of 64 bytes. Narrower registers take several for one such vector.
NARROW, WIDE = 8, 16

Matrix = dict[tuple[int, int], Vector]


class Path:
    """The scratch of a tile on its way, and the phases that fill it."""

    def __init__(self, tile: Tile):
        n = tile.n
        self.tile, self.n = tile, n
        self.A, self.As, self.V = (tile.array(FLOAT, n, n) for _ in range(3))
        self.M = tile.array(DOUBLE, n + 1, n, n)
        self.c, self.roots = tile.array(DOUBLE, n), tile.array(DOUBLE, n)
        self.search, self.z = tile.array(FLOAT, n), tile.array(FLOAT, n)
        self.friction, self.settle = tile.array(FLOAT, n), tile.array(FLOAT, n)
        self.coefficients = tile.array(FLOAT, n)
        self.s, self.asymmetry = tile.array(FLOAT, 1), tile.array(FLOAT, 1)

    def matrix(self, entry: Callable[[int, int], Vector]) -> Matrix:
        return {(i, j): entry(i, j) for i, j in self.tile.entries()}

    def product(self, X: Matrix, Y: Matrix) -> Matrix:
        return self.matrix(lambda i, j: total(X[i, k] * Y[k, j] for k in range(self.n)))

    def gram(self, V: Matrix) -> Matrix:
        half = {
            (i, j): total(V[k, i] * V[k, j] for k in range(self.n)) for i, j in self.tile.entries() if i <= j
        }
        return self.matrix(lambda i, j: half[min(i, j), max(i, j)])

    def load(self, A: ir.Value) -> None:
        with self.tile.blocks(WIDE):
            rows = self.tile.read_rows(A, self.n**2)
            for entry, vector in zip(self.tile.entries(), rows, strict=True):
                self.A[entry] = vector

    def load_gram(self, Vt: ir.Value, S: ir.Value) -> None:
        """A = Vt^T diag(S^2) Vt."""
        with self.tile.blocks(WIDE):
            rows = self.tile.read_rows(Vt, self.n**2)
            s = self.tile.read_rows(S, self.n)
            W = {(i, j): rows[i * self.n + j] * s[i] for i, j in self.tile.entries()}
            for entry, vector in self.gram(W).items():
                self.A[entry] = vector

    def scale(self) -> None:
        n = self.n
        with self.tile.blocks(WIDE):
            entries = [self.A[entry] for entry in self.tile.entries()]
            most = abs(entries[0])
            for x in entries:
                most = (abs(x) > most).choose(abs(x), most)
            large = most > 2.0**60
            shrink = large.choose(2.0**-70, most.like(1.0))
            squares = [(x * shrink) * (x * shrink) for x in entries]
            whole = 8 * (n * n // 8)
            square = total([total(squares[p:whole:8]) for p in range(8) if whole] + squares[whole:])
            s = self.s[0] = scale_of(square, large, n)
            As = {entry: x / s for entry, x in zip(self.tile.entries(), entries, strict=True)}
            for entry, x in As.items():
                self.As[entry] = x
            skew = [As[i, j] - As[j, i] for i, j in self.tile.entries() if j < i]
            self.asymmetry[0] = total(2.0 * (x * x) for x in skew)

    def faddeev_leverrier(self) -> None:
        """M_2 .. M_n and c_0 .. c_(n-1), float64, and the coefficients rounded to float32."""
        n = self.n
        with self.tile.blocks(NARROW):
            A = self.matrix(lambda i, j: self.As[i, j].double())
            M, c = dict(A), -total(A[i, i] for i in range(n))
            self.store_coefficient(n - 1, c)
            for k in range(2, n + 1):
                M = self.product(A, M) if k > 2 else M
                for i in range(n):
                    M[i, i] = M[i, i] + c
                for (i, j), x in M.items():
                    self.M[k, i, j] = x
                c = -total(A[entry] * M[entry] for entry in self.tile.entries()) / float(k)
                self.store_coefficient(n - k, c)

    def store_coefficient(self, j: int, c: Vector) -> None:
        self.c[j] = c
        self.coefficients[j] = self.search[j] = c.float()

    def start(self, offsets: ir.Value) -> None:
        """z = the sorted diagonal plus its offsets."""
        n = self.n
        with self.tile.blocks(WIDE):
            z = [self.As[i, i] for i in range(n)]
            for last in range(n - 1, 0, -1):
                for i in range(last):
                    swap = z[i + 1] < z[i]
                    z[i], z[i + 1] = swap.choose(z[i + 1], z[i]), swap.choose(z[i], z[i + 1])
            for i in range(n):
                offset = self.tile.builder.load(self.tile.builder.gep(offsets, [INT(i)]))
                self.z[i] = z[i] + self.tile.repeated(offset)
                self.friction[i] = self.tile.number(FLOAT, 0.0)
                self.settle[i] = self.tile.number(FLOAT, float(LAGUERRE_STEPS))

    def find_roots(self) -> None:
        for root in range(self.n):
            with cgutils.for_range(self.tile.builder, INT(LAGUERRE_STEPS)) as loop:
                step = self.tile.builder.sitofp(loop.index, FLOAT)
                self.tile.each_block(WIDE, lambda root=root, step=step: self.laguerre_step(root, step))
            self.tile.each_block(WIDE, lambda root=root: self.deflate(root))

    def laguerre_step(self, root: int, step: ir.Value) -> None:
        degree, x = self.n - root, self.z[root]
        p, dp, half_d2 = self.horner(x, [self.search[j] for j in range(degree)])
        if degree > 1:
            self.friction[root] += 1.0 / (abs(dp) + FRICTION_DELTA)
        else:  # dp is 1, to which 1e-8 adds nothing; where x is NaN so is the sum
            self.friction[root] += 1.0 + 0.0 * x
        settled = self.settle[root]
        first = (abs(p) < SETTLE_THRESHOLD) & (settled >= float(LAGUERRE_STEPS))
        self.settle[root] = first.choose(self.tile.repeated(step), settled)
        self.z[root] = laguerre_move(x, p, dp, half_d2, float(degree))

    @staticmethod
    def horner(x: Vector, c: list[Vector]) -> tuple[Vector, Vector, Vector]:
        """p, p' and p''/2 at x of the monic polynomial with the lower coefficients c."""
        p, dp, half_d2 = x.like(1.0), None, None
        for j in range(len(c) - 1, -1, -1):
            half_d2 = half_d2 * x + dp if half_d2 else dp
            dp = dp * x + p if dp else p
            p = p * x + c[j]
        return p, dp, half_d2

    def deflate(self, root: int) -> None:
        """Synthetic division by x - z; the quotient is monic too."""
        x, above = self.z[root], None
        c = [self.search[j] for j in range(self.n - root)]
        for j in range(len(c) - 1, 0, -1):
            above = c[j] + (x * above if above else x)
            self.search[j - 1] = above

    def polish(self) -> None:
        """Newton on the undeflated polynomial, float64, all roots side by side."""
        n = self.n
        with self.tile.blocks(NARROW):
            c = [self.c[j] for j in range(n)]
            roots = [self.z[i].double() for i in range(n)]
            for _ in range(POLISH_STEPS):
                for i, x in enumerate(roots):
                    p, dp, _ = self.horner(x, c)
                    ok = abs(dp) > 1e-30
                    roots[i] = x - ok.choose(p / ok.choose(dp, 1.0), 0.0)
            for i, x in enumerate(roots):
                self.roots[i] = x

    def adjugate_vectors(self) -> None:
        for first in range(0, self.n, 2):
            with self.tile.blocks(NARROW):
                self.adjugate_columns(range(first, min(first + 2, self.n)))

    def adjugate_columns(self, which: range) -> None:
        """The normalised column of largest norm of adj(root I - A); some roots share the reads of M."""
        n = self.n
        x = {r: self.roots[r] for r in which}
        best, most = {}, {}
        for j in range(n):
            R: dict[int, list[Vector]] = {r: [] for r in which}
            for i in range(n):
                M = [self.M[k, i, j] for k in range(2, n + 1)]
                for r in which:
                    entry = M[0] + x[r] if i == j else M[0]
                    for m in M[1:]:
                        entry = entry * x[r] + m
                    R[r].append(entry)
            for r in which:
                square = total(entry * entry for entry in R[r])
                if j == 0:
                    best[r], most[r] = R[r], square
                    continue
                greater = square > most[r]
                most[r] = greater.choose(square, most[r])
                best[r] = [greater.choose(new, old) for new, old in zip(R[r], best[r], strict=True)]
        for r in which:
            inverse = 1.0 / (most[r].sqrt() + 1e-30)
            for i in range(n):
                self.V[i, r] = (best[r][i] * inverse).float()

    def finish(self, outputs: dict[str, ir.Value], fused: ir.Value, flagged: ir.Value) -> None:
        """Newton-Schulz, Rayleigh quotients, test, order, signs; everything written to the packet's rows."""
        n, tile = self.n, self.tile
        with tile.blocks(WIDE):
            V, values = self.orthogonalise()
            friction = [self.friction[i] for i in range(n)]
            settle = [self.settle[i] for i in range(n)]
            with tile.builder.if_else(fused) as (only_telemetry, all_of_it):
                with only_telemetry:
                    _, rows = ordered(values, [friction, settle])
                    tile.write_rows(outputs["friction"], rows[0])
                    tile.write_rows(outputs["settle"], rows[1])
                with all_of_it:
                    self.judge(V, values, outputs, flagged)
                    columns = [[x * sign(self.column(V, j)) for x in self.column(V, j)] for j in range(n)]
                    parts = [[column[i] for column in columns] for i in range(n)]
                    values, (friction, settle, *parts) = ordered(values, [friction, settle, *parts])
                    tile.write_rows(outputs["friction"], friction)
                    tile.write_rows(outputs["settle"], settle)
                    tile.write_rows(outputs["values"], values)
                    tile.write_rows(outputs["vectors"], [x for part in parts for x in part])
                    tile.write_rows(outputs["coefficients"], [self.coefficients[i] for i in range(n)])

    def column(self, V: Matrix, j: int) -> list[Vector]:
        return [V[i, j] for i in range(self.n)]

    def orthogonalise(self) -> tuple[Matrix, list[Vector]]:
        n = self.n
        V = self.matrix(lambda i, j: self.V[i, j])
        Y = self.gram(V)
        T = self.matrix(lambda i, j: 3.0 * (i == j) - Y[i, j])
        Z = {entry: x * 0.5 for entry, x in self.product(T, Y).items()}
        X = {entry: 0.5 * x for entry, x in T.items()}
        T = self.matrix(lambda i, j: 3.0 * (i == j) - Z[i, j])
        V = self.product(V, {entry: x * 0.5 for entry, x in self.product(X, T).items()})
        P = self.product(self.matrix(lambda i, j: self.A[i, j]), V)
        return V, [total(V[i, j] * P[i, j] for i in range(n)) for j in range(n)]

    def judge(self, V: Matrix, values: list[Vector], outputs: dict[str, ir.Value], flagged: ir.Value) -> None:
        """The residual test: ||V^T V - I||_F and ||A/s - V (L/s) V^T||_F; the test's bits to status."""
        n, tile = self.n, self.tile
        Y, s = self.gram(V), self.s[0]
        excess = [Y[i, j] - 1.0 * (i == j) for i, j in tile.entries()]
        orthogonality = total(x * x for x in excess).sqrt()
        inverse = 1.0 / s
        L = [value * inverse for value in values]
        W = self.matrix(lambda i, j: V[i, j] * L[j])
        misfit = [self.As[i, j] - total(W[i, k] * V[j, k] for k in range(n)) for i, j in tile.entries()]
        reconstruction = total(x * x for x in misfit).sqrt()
        verdict(tile, orthogonality, reconstruction, s, self.asymmetry[0], outputs, flagged)


def scale_of(square: Vector, large: Vector, n: int) -> Vector:
    """s from the sum of squares of the entries, which went in divided by 2^70 where `large` holds."""
    norm = square.sqrt() * large.choose(2.0**70, square.like(1.0)) / math.sqrt(n)
    return (norm < SMALLEST_SCALE).choose(SMALLEST_SCALE, norm)


def laguerre_move(x: Vector, p: Vector, dp: Vector, half_d2: Vector | None, degree: Vector | float) -> Vector:
    """The next iterate from x; without p''/2 for the last root."""
    ok = abs(p) > 1e-30
    divisor = ok.choose(p, 1.0)
    G = ok.choose(dp / divisor, 0.0)
    square = G * G
    if half_d2:
        H = square - ok.choose(2.0 * half_d2 / divisor, 0.0)
        inner = (degree - 1.0) * (degree * H - square)
        inner = (inner < 0.0).choose(0.0, inner).sqrt()
    else:
        inner = 0.0 * (square - square)  # 0, or NaN where the square has no float32
    plus, minus = G + inner, G - inner
    denominator = (abs(plus) >= abs(minus)).choose(plus, minus)
    ok = abs(denominator) > 1e-20
    move = degree * (1.0 / ok.choose(denominator, 1.0))
    return x - ok.choose(move, 0.0)


def verdict(
    tile: Tile,
    orthogonality: Vector,
    reconstruction: Vector,
    s: Vector,
    asymmetry: Vector,
    outputs: dict[str, ir.Value],
    flagged: ir.Value,
) -> None:
    """Write a block's residual and status, and note in `flagged` whether any status is not 0."""
    builder, limit = tile.builder, float(TEST_LIMIT)
    scaled = s > SMALLEST_SCALE
    good = (orthogonality <= limit) & (reconstruction <= limit) & scaled
    # An infinite diagonal entry shows in no difference of entries, only in s.
    symmetric = (asymmetry <= float(SUSPECT_ASYMMETRY) * tile.n) & scaled & (s < math.inf)
    tile.write_rows(outputs["residual"], [orthogonality])
    byte = ir.VectorType(BYTE, tile.width)
    failed = builder.select((~good).value, ir.Constant(byte, [FAILED] * tile.width), ir.Constant(byte, None))
    suspect = builder.select(
        (~symmetric).value, ir.Constant(byte, [SUSPECT] * tile.width), ir.Constant(byte, None)
    )
    builder.store(builder.or_(failed, suspect), tile.place(outputs["status"], 1, 0, BYTE), align=1)
    bad = builder.bitcast((~(good & symmetric)).value, ir.IntType(tile.width))
    builder.store(builder.or_(builder.load(flagged), builder.zext(bad, INT)), flagged)


def sign(column: list[Vector]) -> Vector:
    """-1 where the entry of largest magnitude, the first on a tie, is negative, else 1."""
    decisive = column[0]
    for x in column[1:]:
        decisive = (abs(x) > abs(decisive)).choose(x, decisive)
    return (decisive < 0.0).choose(-1.0, decisive.like(1.0))


def ordered(values: list[Vector], rows: list[list[Vector]]) -> tuple[list[Vector], list[list[Vector]]]:
    """values ascending, and the rows in that order; ties keep their order, NaN counts as infinity."""
    keys = [x.is_number().choose(x, math.inf) for x in values]
    rows = [list(row) for row in (keys, values, *rows)]
    for last in range(len(values) - 1, 0, -1):
        for i in range(last):
            swap = rows[0][i + 1] < rows[0][i]
            for row in rows:
                row[i], row[i + 1] = swap.choose(row[i + 1], row[i]), swap.choose(row[i], row[i + 1])
    return rows[1], rows[2:]
