"""The compiled pass over a range of tiles."""

from __future__ import annotations

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from .numba_lanes import INT, Tile
from .numba_looped import LoopedPath, looped_scratch
from .numba_setup import LANES, OPTIONS, compiled
from .numba_straight import Path

LARGEST_STRAIGHT = 6
# Matrices in a tile, up to LARGEST_LONG, up to LARGEST_STRAIGHT: enough vectors side by side to hide the
# latency of divisions and roots, few enough for the tile's scratch to stay in the nearest caches.
LONG, SHORT, LARGEST_LONG = 64, 32, 4


@numba.njit(**OPTIONS)
def lanes_of(n):
    """Matrices in a tile of size n."""
    return LONG if n <= LARGEST_LONG else SHORT if n <= LARGEST_STRAIGHT else LANES


NAMES = ("values", "vectors", "coefficients", "friction", "settle", "residual", "status")


@intrinsic
def solve_tile(
    typing, dims, offsets, fused, A, S, values, vectors, coefficients, friction, settle, residual, status,
    scratch, row,
):  # fmt: skip
    """Solve the matrices row .. row + lanes - 1 of A into the packet's arrays; not 0 if any is flagged.

    Arguments as for solve_tiles, and scratch: looped_scratch(n) float64 for the larger sizes.
    """
    n = dims.count
    arrays = (values, vectors, coefficients, friction, settle, residual, status)

    def emit(context, builder, signature, arguments):
        def data(index):
            return make_array(signature.args[index])(context, builder, arguments[index]).data

        tile = Tile(builder, n, int(lanes_of.py_func(n)), arguments[-1])
        with builder.goto_entry_block():
            flagged = builder.alloca(INT)
        builder.store(INT(0), flagged)
        path = Path(tile) if n <= LARGEST_STRAIGHT else LoopedPath(tile, data(12))
        truth = builder.trunc(arguments[2], ir.IntType(1))
        with builder.if_else(truth) as (from_svd, from_matrix):
            with from_svd:
                path.load_gram(data(3), data(4))
            with from_matrix:
                path.load(data(3))
        path.scale()
        path.faddeev_leverrier()
        path.start(data(1))
        path.find_roots()
        path.polish()
        path.adjugate_vectors()
        path.finish({name: data(5 + i) for i, name in enumerate(NAMES)}, truth, flagged)
        return builder.load(flagged)

    return types.int64(dims, offsets, fused, A, S, *arrays, scratch, row), emit


@compiled
def solve_tiles(
    dims, offsets, fused, A, S, values, vectors, coefficients, friction, settle, residual, status, first, last
):
    """Solve the whole tiles first .. last - 1 of A (B, n, n) into the packet's arrays.

    dims: any tuple of length n. offsets: start_offsets(n). fused: A and S (B, n) are Vt and S of the Gram
    matrix to solve, and only friction and settle are written. status (B,) gets FAILED and SUSPECT bits.
    Returns 0 where no row has such a bit.
    """
    n = len(dims)
    lanes = lanes_of(n)
    scratch = np.empty(looped_scratch(n) if n > LARGEST_STRAIGHT else 0, np.float64)
    flagged = 0
    for tile in range(first, last):
        flagged |= solve_tile(
            dims, offsets, fused, A, S, values, vectors, coefficients, friction, settle, residual, status,
            scratch, tile * lanes,
        )  # fmt: skip
    return flagged
