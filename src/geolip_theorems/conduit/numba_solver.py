"""The compiled pass over a range of tiles."""

from __future__ import annotations

import numpy as np

from .numba_looped import (
    adjugate_vectors,
    faddeev_leverrier,
    judge,
    load,
    load_gram,
    orthogonalise,
    scale,
)
from .numba_roots import find_roots, polish, start_values
from .numba_setup import (
    F0,
    F1,
    FAILED,
    LANES,
    SMALLEST_SCALE,
    SUSPECT,
    SUSPECT_ASYMMETRY,
    TEST_LIMIT,
    compiled,
    inlined,
)
from .numba_straight import lanes_of, solve_tile

F4, F8 = np.float32, np.float64


@compiled
def straight_tiles(
    dims, K, fused, A, S, values, vectors, coefficients, friction, settle, residual, status, first, last
):
    """Solve the whole tiles first .. last - 1 of A (B, n, n) into the packet's arrays.

    For the sizes of numba_straight. dims: any tuple of length n. K: search_constants(n). fused: A and S
    (B, n) are Vt and S of the Gram matrix to solve, and only friction and settle are written. status (B,)
    gets FAILED and SUSPECT bits. Returns 0 where no row has such a bit.
    """
    lanes = lanes_of(len(dims))
    flagged = 0
    for tile in range(first, last):
        flagged |= solve_tile(
            dims, K, fused, A, S, values, vectors, coefficients, friction, settle, residual, status,
            tile * lanes,
        )  # fmt: skip
    return flagged


@inlined
def ranks(n, values, rank):
    """rank[i] = the place of values[i] in ascending order; ties keep their order, NaN counts as infinity."""
    for i in range(n):
        for lane in range(LANES):
            x = values[i, lane]
            x = x if x == x else np.float32(np.inf)
            place = F0
            for j in range(n):
                y = values[j, lane]
                y = y if y == y else np.float32(np.inf)
                before = (y <= x) if j < i else (y < x)
                place += F1 if before else F0
            rank[i, lane] = place


@compiled
def looped_tiles(
    dims, K, fused, A, S, values, vectors, coefficients, friction, settle, residual, status, first, last
):
    """straight_tiles for the larger sizes; the last tile need not be whole."""
    n = len(dims)
    size = A.shape[-1]  # n again, but not to the compiler: numba_looped.py says why
    root_n = np.float32(np.sqrt(n))
    flagged = 0
    # One entry more than needed in each direction, for the padding of blocks, and so that entries a power of
    # two apart do not share a cache set.
    m = n + 1
    a, As, V = np.empty((n, m, LANES), F4), np.empty((n, m, LANES), F4), np.empty((n, m, LANES), F4)
    Y, T, Z = np.empty((n, m, LANES), F4), np.empty((n, m, LANES), F4), np.empty((n, m, LANES), F4)
    M, Ad, roots = np.zeros((m, m, m, LANES), F8), np.zeros((m, m, LANES), F8), np.zeros((n + 4, LANES), F8)
    c, column, best = np.empty((m, LANES), F8), np.empty((4, n, LANES), F8), np.empty((4, n, LANES), F8)
    largest, block = np.empty((7, LANES), F8), np.empty((4, LANES), F8)
    search, z = np.empty((m, LANES), K.dtype), np.empty((n, LANES), K.dtype)
    ritz, rank, row = np.empty((n, LANES), F4), np.empty((n, LANES), F4), np.empty((3, LANES), F4)
    found, settled = np.empty((n, LANES), F4), np.empty((n, LANES), F4)
    s, asymmetry = np.empty(LANES, F4), np.empty(LANES, F4)
    orthogonality, reconstruction = np.empty(LANES, F4), np.empty(LANES, F4)
    for tile in range(first, last):
        start = tile * LANES
        count = min(LANES, len(A) - start)
        if fused:
            load_gram(n, A, S, start, count, a, Y)
        else:
            load(n, A, start, count, a)
        scale(dims, root_n, a, As, s, asymmetry, row)
        faddeev_leverrier(dims, As, Ad, M, c, block)
        start_values(dims, K, As, c, search, z)
        find_roots(n, K, search, z, found, settled)
        polish(n, c, z, roots)
        adjugate_vectors(dims, M, roots, column, best, largest, V)
        orthogonalise(dims, size, a, V, ritz, Y, T, Z)
        ranks(n, ritz, rank)
        for lane in range(count):
            for i in range(n):
                place = np.intp(rank[i, lane])
                friction[start + lane, place] = found[i, lane]
                settle[start + lane, place] = settled[i, lane]
        if fused:
            continue
        judge(dims, size, As, s, V, ritz, orthogonality, reconstruction, Y)
        for lane in range(count):
            b = start + lane
            for i in range(n):
                place = np.intp(rank[i, lane])
                values[b, place] = ritz[i, lane]
                coefficients[b, i] = np.float32(c[i, lane])
                for j in range(n):
                    vectors[b, j, place] = V[j, i, lane]
            residual[b] = orthogonality[lane]
            scaled = s[lane] > SMALLEST_SCALE
            good = (orthogonality[lane] <= TEST_LIMIT) & (reconstruction[lane] <= TEST_LIMIT) & scaled
            symmetric = (asymmetry[lane] <= SUSPECT_ASYMMETRY * np.float32(n)) & scaled
            status[b] = (0 if good else FAILED) + (0 if symmetric else SUSPECT)
            flagged |= status[b]
    return flagged
