"""The compiled pass over a range of tiles."""

from __future__ import annotations

import numpy as np
from numba.extending import overload

from . import numba_looped, numba_roots, numba_unrolled
from .numba_looped import load, load_gram
from .numba_roots import find_roots, polish
from .numba_setup import (
    F0,
    F1,
    FAILED,
    OPTIONS,
    SMALLEST_SCALE,
    SUSPECT,
    SUSPECT_ASYMMETRY,
    TEST_LIMIT,
    compiled,
    inlined,
    lanes_of,
)

F4, F8 = np.float32, np.float64


def phase(unrolled, looped):
    """A phase: straight-line code for the smallest sizes, loops for the others. dims tells the size."""

    def call(dims, *arguments):
        raise NotImplementedError("only for compiled callers")

    @overload(call, jit_options={"forceinline": True, **OPTIONS}, strict=False)
    def choose(dims, *arguments):
        return unrolled(dims.count) if dims.count <= numba_unrolled.LARGEST_UNROLLED else looped

    return call


scale = phase(numba_unrolled.scale, numba_looped.scale)
faddeev_leverrier = phase(numba_unrolled.leverrier, numba_looped.faddeev_leverrier)
start_values = phase(numba_unrolled.start, numba_roots.start_values)
adjugate_vectors = phase(numba_unrolled.adjugate, numba_looped.adjugate_vectors)
orthogonalise = phase(numba_unrolled.orthogonalise, numba_looped.orthogonalise)
judge = phase(numba_unrolled.judge, numba_looped.judge)


@inlined
def ranks(n, values, rank):
    """rank[i] = the place of values[i] in ascending order; ties keep their order, NaN counts as infinity."""
    lanes = lanes_of(n)
    for i in range(n):
        for lane in range(lanes):
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
def solve_tiles(
    dims,
    K,
    root_n,
    fused,
    A,
    S,
    values,
    vectors,
    coefficients,
    friction,
    settle,
    residual,
    status,
    first,
    last,
):
    """Solve tiles first .. last - 1 of A (B, n, n) into the packet's arrays.

    dims: any tuple of length n. K: search_constants(n). fused: A and S (B, n) are Vt and S of the Gram matrix
    to solve, and only friction and settle are written. status (B,) gets FAILED and SUSPECT bits.
    """
    n = len(dims)
    lanes = lanes_of(n)
    # One entry more than needed in each direction, for the padding of blocks, and so that entries a power of
    # two apart do not share a cache set.
    m = n + 1
    a, As, V = np.empty((n, m, lanes), F4), np.empty((n, m, lanes), F4), np.empty((n, m, lanes), F4)
    Y, T, Z = np.empty((n, m, lanes), F4), np.empty((n, m, lanes), F4), np.empty((n, m, lanes), F4)
    M, Ad, roots = np.zeros((m, m, m, lanes), F8), np.zeros((m, m, lanes), F8), np.zeros((n + 4, lanes), F8)
    c, column, best = np.empty((m, lanes), F8), np.empty((4, n, lanes), F8), np.empty((4, n, lanes), F8)
    largest, block = np.empty((7, lanes), F8), np.empty((4, lanes), F8)
    search, z = np.empty((m, lanes), K.dtype), np.empty((n, lanes), K.dtype)
    ritz, rank, row = np.empty((n, lanes), F4), np.empty((n, lanes), F4), np.empty((3, lanes), F4)
    found, settled = np.empty((n, lanes), F4), np.empty((n, lanes), F4)
    s, asymmetry = np.empty(lanes, F4), np.empty(lanes, F4)
    orthogonality, reconstruction = np.empty(lanes, F4), np.empty(lanes, F4)
    for tile in range(first, last):
        start = tile * lanes
        count = min(lanes, len(A) - start)
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
        orthogonalise(dims, a, V, ritz, Y, T, Z)
        ranks(n, ritz, rank)
        for lane in range(count):
            for i in range(n):
                place = np.intp(rank[i, lane])
                friction[start + lane, place] = found[i, lane]
                settle[start + lane, place] = settled[i, lane]
        if fused:
            continue
        judge(dims, As, s, V, ritz, orthogonality, reconstruction, Y)
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
