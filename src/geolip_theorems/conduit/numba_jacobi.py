"""Repair of eigenpairs by Jacobi rotations, across a tile of matrices (Numba)."""

from __future__ import annotations

import numpy as np

from .numba_products import gram, judge, product
from .numba_rotations import diagonalise
from .numba_setup import D0, D1, F0, F1, HALF, LANES, TEST_LIMIT, compiled, inlined

F4, F8 = np.float32, np.float64


@inlined
def load_scaled(n, A, rows, start, count, As, scale):
    """As = the symmetric parts of A[rows[start:start + count]] over scale = ||A||_F / sqrt(n)."""
    for lane in range(LANES):
        source = rows[start + min(lane, count - 1)]
        total = D0
        for i in range(n):
            for j in range(n):
                total += F8(A[source, i, j]) * F8(A[source, i, j])
        scale[lane] = np.sqrt(total / n)
        inverse = D1 / scale[lane] if total > D0 else D0
        for i in range(n):
            for j in range(n):
                As[i, j, lane] = F4(0.5 * (F8(A[source, i, j]) + F8(A[source, j, i])) * inverse)


@inlined
def straighten(dims, n, V, Y, Z):
    """V += V (I - V^T V) / 2: rotations by cosines and sines of float32 drift from orthogonal."""
    gram(dims, n, V, Y)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                Y[i, j, lane] = HALF * ((F1 if i == j else F0) - Y[i, j, lane])
    product(dims, n, V, Y, Z)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                V[i, j, lane] += Z[i, j, lane]


@compiled
def jacobi_tiles(dims, A, rows, values, vectors, good, first, last):
    """Ascending eigenpairs of A[rows], canonical signs, into values[rows], vectors[rows]; for some tiles.

    good (len(rows),): which pass the residual test; the others are left as they were.
    """
    n = A.shape[-1]  # as dims has it, but not to the compiler: numba_products.py says why
    shape = (len(dims), len(dims) + 1, LANES)
    As, B, V, Y = np.empty(shape, F4), np.empty(shape, F4), np.empty(shape, F4), np.empty(shape, F4)
    ritz, scale = np.empty((n, LANES), F4), np.empty(LANES, F8)
    orthogonality, reconstruction = np.empty(LANES, F4), np.empty(LANES, F4)
    for tile in range(first, last):
        start = tile * LANES
        count = min(LANES, len(rows) - start)
        load_scaled(n, A, rows, start, count, As, scale)
        for i in range(n):
            for j in range(n):
                for lane in range(LANES):
                    B[i, j, lane] = As[i, j, lane]
                    V[i, j, lane] = F1 if i == j else F0
        diagonalise(dims, B, V)
        straighten(dims, n, V, Y, B)
        product(dims, n, As, V, Y)
        for j in range(n):
            for lane in range(LANES):
                total, square = F0, F0
                for i in range(len(dims)):
                    total += V[i, j, lane] * Y[i, j, lane]
                    square += V[i, j, lane] * V[i, j, lane]
                ritz[j, lane] = total / square
        judge(dims, n, As, V, ritz, orthogonality, reconstruction, Y)
        for lane in range(count):
            passed = (orthogonality[lane] <= TEST_LIMIT) & (reconstruction[lane] <= TEST_LIMIT)
            good[start + lane] = passed
            if passed:
                target = rows[start + lane]
                for i in range(n):
                    place = 0
                    for j in range(n):
                        before = ritz[j, lane] < ritz[i, lane]
                        if before or (j < i and ritz[j, lane] == ritz[i, lane]):
                            place += 1
                    values[target, place] = F4(F8(ritz[i, lane]) * scale[lane])
                    for j in range(n):
                        vectors[target, j, place] = V[j, i, lane]
