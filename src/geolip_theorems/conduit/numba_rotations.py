"""Cyclic Jacobi rotations of a tile of symmetric matrices, in vector instructions, one matrix a lane.

Golub & Van Loan, Matrix Computations, section 8.5. The loops over entries stay loops: the code is as long for
n = 16 as for n = 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .numba_lanes import FLOAT, INT, Vector
from .numba_setup import LANES

MOST_SWEEPS = 30
# Of ||A||_F / sqrt(n): what n (n - 1) such entries leave undone is lost in the residual test's own rounding.
NEGLIGIBLE = 2e-8

LINE = ir.VectorType(FLOAT, LANES)


class Entries:
    """Entries (i, j) of an array (n, n + 1, LANES) float32; i and j are known only when the code runs."""

    def __init__(self, builder: ir.IRBuilder, data: ir.Value, n: int):
        self.builder, self.data, self.n = builder, data, n

    def place(self, i: ir.Value, j: ir.Value) -> ir.Value:
        builder = self.builder
        entry = builder.add(builder.mul(i, INT(self.n + 1)), j)
        first = builder.gep(self.data, [builder.mul(entry, INT(LANES))])
        return builder.bitcast(first, LINE.as_pointer())

    def __getitem__(self, index: tuple[ir.Value, ir.Value]) -> Vector:
        return Vector(self.builder, self.builder.load(self.place(*index), align=4))

    def __setitem__(self, index: tuple[ir.Value, ir.Value], vector: Vector) -> None:
        self.builder.store(vector.value, self.place(*index), align=4)


def rotation(app: Vector, aqq: Vector, apq: Vector, rotate: Vector) -> tuple[Vector, Vector, Vector]:
    """Cosine, sine and tangent of the smaller angle that makes entry (p, q) zero; 1, 0, 0 elsewhere."""
    apart, twice = aqq - app, 2.0 * apq
    root = (apart * apart + twice * twice).sqrt()
    tangent = rotate.choose(twice, 0.0) / rotate.choose(abs(apart) + root, 1.0)
    tangent = (apart < 0.0).choose(-tangent, tangent)
    cosine = 1.0 / (1.0 + tangent * tangent).sqrt()
    return cosine, tangent * cosine, tangent


@contextmanager
def steps(builder: ir.IRBuilder, start: ir.Value, stop: ir.Value) -> Iterator[ir.Value]:
    with cgutils.for_range_slice(builder, start, stop, INT(1)) as (index, _):
        yield index


class Rotations:
    """Emits the rotations of A towards a diagonal, upper triangle only, and of V's columns along with it."""

    def __init__(self, builder: ir.IRBuilder, n: int, A: ir.Value, V: ir.Value):
        self.builder, self.n = builder, n
        self.A, self.V = Entries(builder, A, n), Entries(builder, V, n)
        with builder.goto_entry_block():
            self.moved = builder.alloca(ir.IntType(1))

    def turn(self, entries: Entries, first: tuple, second: tuple, cosine: Vector, sine: Vector) -> None:
        x, y = entries[first], entries[second]
        entries[first] = cosine * x - sine * y
        entries[second] = sine * x + cosine * y

    def rotate(self, p: ir.Value, q: ir.Value) -> None:
        """Rotate in the lanes where entry (p, q) is worth it; nothing at all where there is no such lane."""
        builder, A, end = self.builder, self.A, INT(self.n)
        apq = A[p, q]
        worth = abs(apq) > NEGLIGIBLE
        lanes = builder.bitcast(worth.value, ir.IntType(LANES))
        with builder.if_then(builder.icmp_unsigned("!=", lanes, ir.IntType(LANES)(0))):
            builder.store(ir.IntType(1)(1), self.moved)
            app, aqq = A[p, p], A[q, q]
            cosine, sine, tangent = rotation(app, aqq, apq, worth)
            A[p, p], A[q, q] = app - tangent * apq, aqq + tangent * apq
            A[p, q] = worth.choose(0.0, apq)
            after_p, after_q = builder.add(p, INT(1)), builder.add(q, INT(1))
            with steps(builder, INT(0), p) as r:
                self.turn(A, (r, p), (r, q), cosine, sine)
            with steps(builder, after_p, q) as r:
                self.turn(A, (p, r), (r, q), cosine, sine)
            with steps(builder, after_q, end) as r:
                self.turn(A, (p, r), (q, r), cosine, sine)
            with steps(builder, INT(0), end) as r:
                self.turn(self.V, (r, p), (r, q), cosine, sine)

    def sweep(self) -> None:
        builder = self.builder
        with (
            steps(builder, INT(0), INT(self.n - 1)) as p,
            steps(builder, builder.add(p, INT(1)), INT(self.n)) as q,
        ):
            self.rotate(p, q)

    def emit(self) -> None:
        """Sweeps until one finds nothing to do."""
        builder = self.builder
        with cgutils.for_range(builder, INT(MOST_SWEEPS)) as loop:
            builder.store(ir.IntType(1)(0), self.moved)
            self.sweep()
            with builder.if_then(builder.not_(builder.load(self.moved))):
                loop.do_break()


@intrinsic
def diagonalise(typing, dims, A, V):
    """A -> its eigenvalues on the diagonal, V -> V times its eigenvectors; both (n, n + 1, LANES) float32.

    dims: any tuple of length n. A: symmetric, ||A||_F about sqrt(n), of which the upper triangle is used.
    A lane's entries depend on no other lane.
    """

    def emit(context, builder, signature, arguments):
        data = [make_array(signature.args[k])(context, builder, arguments[k]).data for k in (1, 2)]
        Rotations(builder, dims.count, *data).emit()
        return context.get_dummy_value()

    return types.none(dims, A, V), emit
