"""The cheapest repair: iterative refinement of nearly right eigenvectors, in float64 (Numba).

T. Ogita, K. Aishima, "Iterative refinement for symmetric eigenvalue decomposition", Japan J. Indust. Appl.
Math. 35 (2018). Only matrix products; quadratic convergence where eigenvalues are apart. Whether it was
enough is decided by the residual test afterwards.
"""

from __future__ import annotations

import numpy as np

from .numba_looped import gram, judge, product
from .numba_setup import D0, D1, LANES, TEST_LIMIT, compiled, inlined

REFINEMENT_STEPS = 3


@inlined
def refine(dims, n, A, X, S, R, E, value, known):
    """X <- X + X E; the others are scratch. Matrices are (n, n, LANES) float64."""
    product(dims, n, A, X, E, D1)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                total = X[0, i, lane] * E[0, j, lane]
                for k in range(1, len(dims)):
                    total += X[k, i, lane] * E[k, j, lane]
                S[i, j, lane] = total
    gram(dims, n, X, R)
    # ||A||_F = sqrt(n) by the scaling; known bounds the error of each eigenvalue.
    for lane in range(LANES):
        E[0, 0, lane] = D0
        E[0, 1, lane] = D0
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                r = (D1 if i == j else D0) - R[i, j, lane]
                R[i, j, lane] = r
                s = D0 if i == j else S[i, j, lane]
                E[0, 0, lane] += s * s
                E[0, 1, lane] += r * r
    for lane in range(LANES):
        known[lane] = 2.0 * (np.sqrt(E[0, 0, lane]) + np.sqrt(n * E[0, 1, lane]))
    for i in range(n):
        for lane in range(LANES):
            value[i, lane] = S[i, i, lane] / (D1 - R[i, i, lane])
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                gap = value[j, lane] - value[i, lane]
                apart = abs(gap) > known[lane]
                step = (S[i, j, lane] + value[j, lane] * R[i, j, lane]) / (gap if apart else D1)
                E[i, j, lane] = step if apart else 0.5 * R[i, j, lane]
        for lane in range(LANES):
            E[i, i, lane] = 0.5 * R[i, i, lane] + D1
    product(dims, n, X, E, S, D1)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                X[i, j, lane] = S[i, j, lane]


@compiled
def refine_tiles(dims, A, rows, values, vectors, good, first, last):
    """Refine the eigenpairs of A[rows] in place, for some tiles of rows. good (len(rows),): which pass."""
    n = A.shape[-1]  # as dims has it, but not to the compiler: numba_looped.py says why
    f4, f8, shape = np.float32, np.float64, (len(dims), len(dims) + 1, LANES)
    B, X, S = np.empty(shape, f8), np.empty(shape, f8), np.empty(shape, f8)
    R, E, value = np.empty(shape, f8), np.empty(shape, f8), np.empty((n, LANES), f8)
    As, V, Y = np.empty(shape, f4), np.empty(shape, f4), np.empty(shape, f4)
    ritz, orthogonality, reconstruction = np.empty((n, LANES), f4), np.empty(LANES, f4), np.empty(LANES, f4)
    scale, known, unit = np.empty(LANES, f8), np.empty(LANES, f8), np.ones(LANES, f4)
    for tile in range(first, last):
        start = tile * LANES
        count = min(LANES, len(rows) - start)
        for lane in range(LANES):
            source = rows[start + min(lane, count - 1)]
            total = D0
            for i in range(n):
                for j in range(n):
                    entry = 0.5 * (np.float64(A[source, i, j]) + np.float64(A[source, j, i]))
                    B[i, j, lane] = entry
                    X[i, j, lane] = np.float64(vectors[source, i, j])
                    total += entry * entry
            scale[lane] = np.sqrt(total / n)
            for i in range(n):
                for j in range(n):
                    B[i, j, lane] /= scale[lane]
                    As[i, j, lane] = f4(B[i, j, lane])
        for _ in range(REFINEMENT_STEPS):
            refine(dims, n, B, X, S, R, E, value, known)
        product(dims, n, B, X, E, D1)
        for j in range(n):
            for lane in range(LANES):
                total = X[0, j, lane] * E[0, j, lane]
                square = X[0, j, lane] * X[0, j, lane]
                for i in range(1, n):
                    total += X[i, j, lane] * E[i, j, lane]
                    square += X[i, j, lane] * X[i, j, lane]
                value[j, lane] = total / square
                ritz[j, lane] = f4(total / square)
        for i in range(n):
            for j in range(n):
                for lane in range(LANES):
                    V[i, j, lane] = f4(X[i, j, lane])
        judge(dims, n, As, unit, V, ritz, orthogonality, reconstruction, Y)
        for lane in range(count):
            passed = (orthogonality[lane] <= TEST_LIMIT) & (reconstruction[lane] <= TEST_LIMIT)
            good[start + lane] = passed
            if passed:
                target = rows[start + lane]
                for i in range(n):
                    place = 0
                    for j in range(n):
                        if value[j, lane] < value[i, lane] or (j < i and value[j, lane] == value[i, lane]):
                            place += 1
                    values[target, place] = f4(value[i, lane] * scale[lane])
                    for j in range(n):
                        vectors[target, j, place] = V[j, i, lane]
