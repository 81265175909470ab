"""Repair of eigenpairs by cyclic Jacobi rotations, in float64, across a tile of matrices (Numba).

Golub & Van Loan, Matrix Computations, section 8.5. A rotation is left out where the entry it would remove is
negligible, so a matrix that has converged is not touched again, however long its neighbours in the tile take.
"""

from __future__ import annotations

import numpy as np

from .numba_setup import D0, D1, LANES, compiled

MOST_SWEEPS = 30
# Of ||A||_F. Convergence is quadratic: what is left after the sweep that gets here is far smaller.
NEGLIGIBLE = 1e-10


@compiled
def jacobi_tiles(dims, A, rows, values, vectors, first, last):
    """Ascending eigenpairs of A[rows], canonical signs, into values[rows], vectors[rows]; for some tiles."""
    n = len(dims)
    B, V = np.empty((n, n + 1, LANES), np.float64), np.empty((n, n + 1, LANES), np.float64)
    x, y = np.empty((n, LANES), np.float64), np.empty((n, LANES), np.float64)
    norm, cos, sin, tan = np.empty(LANES), np.empty(LANES), np.empty(LANES), np.empty(LANES)
    taken = np.empty(n, np.bool_)
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
                    V[i, j, lane] = D1 if i == j else D0
                    total += entry * entry
            norm[lane] = np.sqrt(total)
        for i in range(n):
            for j in range(n):
                for lane in range(LANES):
                    B[i, j, lane] = B[i, j, lane] / (norm[lane] if norm[lane] > D0 else D1)
        for _ in range(MOST_SWEEPS):
            moved = D0
            for p in range(n - 1):
                for q in range(p + 1, n):
                    for lane in range(LANES):
                        off = B[p, q, lane]
                        rotate = abs(off) > NEGLIGIBLE
                        theta = (B[q, q, lane] - B[p, p, lane]) / (2.0 * (off if rotate else D1))
                        t = D1 / (abs(theta) + np.sqrt(theta * theta + D1))
                        t = -t if theta < D0 else t
                        t = t if rotate else D0
                        cosine = D1 / np.sqrt(t * t + D1)
                        tan[lane] = t * off
                        cos[lane] = cosine
                        sin[lane] = t * cosine
                    for lane in range(LANES):
                        moved = max(moved, abs(sin[lane]))
                    for r in range(n):
                        for lane in range(LANES):
                            x[r, lane] = cos[lane] * B[p, r, lane] - sin[lane] * B[q, r, lane]
                            y[r, lane] = sin[lane] * B[p, r, lane] + cos[lane] * B[q, r, lane]
                    for lane in range(LANES):
                        x[p, lane] = B[p, p, lane] - tan[lane]
                        y[q, lane] = B[q, q, lane] + tan[lane]
                        off = D0 if sin[lane] != D0 else B[p, q, lane]
                        x[q, lane] = off
                        y[p, lane] = off
                    for r in range(n):
                        for lane in range(LANES):
                            B[p, r, lane] = x[r, lane]
                            B[q, r, lane] = y[r, lane]
                    for r in range(n):
                        for lane in range(LANES):
                            B[r, p, lane] = x[r, lane]
                            B[r, q, lane] = y[r, lane]
                    for lane in range(LANES):
                        B[p, q, lane] = x[q, lane]
                        B[q, p, lane] = x[q, lane]
                        B[p, p, lane] = x[p, lane]
                        B[q, q, lane] = y[q, lane]
                    for r in range(n):
                        for lane in range(LANES):
                            x[r, lane] = cos[lane] * V[p, r, lane] - sin[lane] * V[q, r, lane]
                            y[r, lane] = sin[lane] * V[p, r, lane] + cos[lane] * V[q, r, lane]
                    for r in range(n):
                        for lane in range(LANES):
                            V[p, r, lane] = x[r, lane]
                            V[q, r, lane] = y[r, lane]
            if moved == D0:
                break
        for lane in range(count):
            target = rows[start + lane]
            for i in range(n):
                taken[i] = False
            for place in range(n):
                least = -1
                for i in range(n):
                    if not taken[i] and (least < 0 or B[i, i, lane] < B[least, least, lane]):
                        least = i
                taken[least] = True
                values[target, place] = B[least, least, lane] * norm[lane]
                decisive = 0
                for j in range(1, n):
                    if abs(V[least, j, lane]) > abs(V[least, decisive, lane]):
                        decisive = j
                sign = -D1 if V[least, decisive, lane] < D0 else D1
                for j in range(n):
                    vectors[target, j, place] = sign * V[least, j, lane]
