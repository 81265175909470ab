"""Cyclic Jacobi rotations of a tile of symmetric matrices, in vector instructions, one matrix per lane.

Golub & Van Loan, Matrix Computations, section 8.5. The loops over entries stay loops: the code is as long for
n = 16 as for n = 2.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .numba_lanes import FLOAT, INT, ITEM_BYTES, Array, Tile, Vector, Whole
from .numba_setup import LANES
from .repair import MOST_SWEEPS, NEGLIGIBLE


class Given(Array):
    """An array that NumPy made, (n, n + 1, LANES) float32, aligned to its numbers only."""

    def __init__(self, tile: Tile, data: ir.Value):
        super().__init__(tile, FLOAT, (tile.n, tile.n + 1), LANES, shared=False, memory=data)

    def align(self) -> int:
        return ITEM_BYTES[self.kind]


def rotation(app: Vector, aqq: Vector, apq: Vector, rotate: Vector) -> tuple[Vector, Vector, Vector]:
    """Cosine, sine and tangent of the smaller angle that makes entry (p, q) zero; 1, 0, 0 elsewhere."""
    apart, twice = aqq - app, 2.0 * apq
    root = (apart * apart + twice * twice).sqrt()
    tangent = rotate.choose(twice, 0.0) / rotate.choose(abs(apart) + root, 1.0)
    tangent = (apart < 0.0).choose(-tangent, tangent)
    cosine = 1.0 / (1.0 + tangent * tangent).sqrt()
    return cosine, tangent * cosine, tangent


class Rotations:
    """Emits the rotations of A towards a diagonal, upper triangle only, and of V's columns along with it."""

    def __init__(self, builder: ir.IRBuilder, n: int, A: ir.Value, V: ir.Value):
        self.tile = tile = Tile(builder, n, LANES, INT(0))
        tile.width = LANES
        self.A, self.V = Given(tile, A), Given(tile, V)
        with builder.goto_entry_block():
            self.moved = builder.alloca(ir.IntType(1))

    def turn(self, array: Array, first: tuple, second: tuple, cosine: Vector, sine: Vector) -> None:
        x, y = array[first], array[second]
        array[first] = cosine * x - sine * y
        array[second] = sine * x + cosine * y

    def rotate(self, p: Whole, q: Whole) -> None:
        """Rotate in the lanes where entry (p, q) is worth it; nothing at all where there is no such lane."""
        tile, builder, A, n = self.tile, self.tile.builder, self.A, self.tile.n
        apq = A[p, q]
        worth = abs(apq) > NEGLIGIBLE
        lanes = builder.bitcast(worth.value, ir.IntType(LANES))
        with builder.if_then(builder.icmp_unsigned("!=", lanes, ir.IntType(LANES)(0))):
            builder.store(ir.IntType(1)(1), self.moved)
            app, aqq = A[p, p], A[q, q]
            cosine, sine, tangent = rotation(app, aqq, apq, worth)
            A[p, p], A[q, q] = app - tangent * apq, aqq + tangent * apq
            A[p, q] = worth.choose(0.0, apq)
            with tile.steps(0, p) as r:
                self.turn(A, (r, p), (r, q), cosine, sine)
            with tile.steps(p + 1, q) as r:
                self.turn(A, (p, r), (r, q), cosine, sine)
            with tile.steps(q + 1, n) as r:
                self.turn(A, (p, r), (q, r), cosine, sine)
            with tile.steps(0, n) as r:
                self.turn(self.V, (r, p), (r, q), cosine, sine)

    def emit(self) -> None:
        """Sweeps until one finds nothing to do."""
        tile, builder = self.tile, self.tile.builder
        with cgutils.for_range(builder, INT(MOST_SWEEPS)) as loop:
            builder.store(ir.IntType(1)(0), self.moved)
            with tile.steps(0, tile.n - 1) as p, tile.steps(p + 1, tile.n) as q:
                self.rotate(p, q)
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
