"""The conduit's phases as loops over the entries of a tile of matrices (Numba), for the larger sizes.

A tile holds LANES matrices side by side, lane last, and every innermost loop runs over the lanes, so that
the compiler turns it into vector instructions: one lane, one matrix. What keeps these loops vectorisable:
the size is a constant to the compiler (the length of the tuple `dims`), so that a single short loop inside
a lane loop unrolls; no division check; selects instead of branches; constants of the right type. Products
loop over their entries up to an n that is read from an array: the compiler would unroll these too, which took
a quarter of its time at n = 7 and gained nothing. Without fastmath nothing is reordered or fused, so every
lane performs exactly the operations of reference.py, in its order, and no result depends on its tile.
"""

from __future__ import annotations

import numpy as np

from .numba_setup import (
    D0,
    D1,
    F0,
    F1,
    F2,
    F3,
    HALF,
    LANES,
    LARGE,
    SHRINK,
    SMALLEST_SCALE,
    inlined,
)


@inlined
def load(n, A, first, count, tile):
    for lane in range(LANES):
        if lane < count:
            for i in range(n):
                for j in range(n):
                    tile[i, j, lane] = A[first + lane, i, j]
        else:
            for i in range(n):
                for j in range(n):
                    tile[i, j, lane] = F1 if i == j else F0


@inlined
def load_gram(n, Vt, S, first, count, tile, W):
    """tile = Vt^T diag(S^2) Vt."""
    load(n, Vt, first, count, W)
    for i in range(n):
        for lane in range(LANES):
            s = S[first + lane, i] if lane < count else F1
            for j in range(n):
                W[i, j, lane] *= s
    for i in range(n):
        for j in range(i, n):
            for lane in range(LANES):
                total = W[0, i, lane] * W[0, j, lane]
                for k in range(1, n):
                    total += W[k, i, lane] * W[k, j, lane]
                tile[i, j, lane] = total
                tile[j, i, lane] = total


@inlined
def scale(dims, root_n, A, As, s, suspect, row):
    """As = A / s; suspect = ||As - As^T||_F^2, NaN for non-finite entries."""
    n = len(dims)
    for lane in range(LANES):
        row[0, lane] = F0
        row[1, lane] = F0
        suspect[lane] = F0
    for i in range(n):
        for lane in range(LANES):
            largest = row[0, lane]
            for j in range(n):
                x = abs(A[i, j, lane])
                largest = x if x > largest else largest
            row[0, lane] = largest
    for lane in range(LANES):
        row[0, lane] = SHRINK if row[0, lane] > LARGE else F1
    groups = (n * n) // 8
    for p in range(8):
        for lane in range(LANES):
            row[2, lane] = F0
        for g in range(groups):
            i = (8 * g + p) // n
            j = (8 * g + p) % n
            for lane in range(LANES):
                x = A[i, j, lane] * row[0, lane]
                row[2, lane] += x * x
        for lane in range(LANES):
            row[1, lane] += row[2, lane]
    for e in range(8 * groups, n * n):
        for lane in range(LANES):
            x = A[e // n, e % n, lane] * row[0, lane]
            row[1, lane] += x * x
    for lane in range(LANES):
        x = np.sqrt(row[1, lane]) / row[0, lane] / root_n
        s[lane] = SMALLEST_SCALE if x < SMALLEST_SCALE else x
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                As[i, j, lane] = A[i, j, lane] / s[lane]
    for i in range(n):
        for j in range(i):
            for lane in range(LANES):
                x = As[i, j, lane] - As[j, i, lane]
                suspect[lane] += F2 * (x * x)


@inlined
def faddeev_leverrier(dims, As, Ad, M, c, block):
    """M[1..n] and c[0..n] in float64. Products go in blocks of two by two; for odd n the last are padding."""
    n = len(dims)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                Ad[i, j, lane] = np.float64(As[i, j, lane])
                M[1, i, j, lane] = D1 if i == j else D0
                M[2, i, j, lane] = np.float64(As[i, j, lane])
    for lane in range(LANES):
        trace = Ad[0, 0, lane]
        for i in range(1, n):
            trace += Ad[i, i, lane]
        c[n, lane] = D1
        c[n - 1, lane] = -trace
    for k in range(2, n + 1):
        if k > 2:
            for i in range(0, n, 2):
                for j in range(0, n, 2):
                    for lane in range(LANES):
                        t00 = Ad[i, 0, lane] * M[k - 1, 0, j, lane]
                        t01 = Ad[i, 0, lane] * M[k - 1, 0, j + 1, lane]
                        t10 = Ad[i + 1, 0, lane] * M[k - 1, 0, j, lane]
                        t11 = Ad[i + 1, 0, lane] * M[k - 1, 0, j + 1, lane]
                        for m in range(1, n):
                            t00 += Ad[i, m, lane] * M[k - 1, m, j, lane]
                            t01 += Ad[i, m, lane] * M[k - 1, m, j + 1, lane]
                            t10 += Ad[i + 1, m, lane] * M[k - 1, m, j, lane]
                            t11 += Ad[i + 1, m, lane] * M[k - 1, m, j + 1, lane]
                        block[0, lane] = t00
                        block[1, lane] = t01
                        block[2, lane] = t10
                        block[3, lane] = t11
                    for lane in range(LANES):
                        M[k, i, j, lane] = block[0, lane]
                        M[k, i, j + 1, lane] = block[1, lane]
                        M[k, i + 1, j, lane] = block[2, lane]
                        M[k, i + 1, j + 1, lane] = block[3, lane]
        for i in range(n):
            for lane in range(LANES):
                M[k, i, i, lane] += c[n - k + 1, lane]
        for lane in range(LANES):
            total = Ad[0, 0, lane] * M[k, 0, 0, lane]
            for j in range(1, n):
                total += Ad[0, j, lane] * M[k, 0, j, lane]
            c[n - k, lane] = total
        for i in range(1, n):
            for lane in range(LANES):
                total = c[n - k, lane]
                for j in range(n):
                    total += Ad[i, j, lane] * M[k, i, j, lane]
                c[n - k, lane] = total
        for lane in range(LANES):
            c[n - k, lane] = -c[n - k, lane] / np.float64(k)


@inlined
def adjugate_vectors(dims, M, roots, column, best, largest, V):
    """V[:, r] = the normalised column of largest norm of adj(root_r I - A), float32.

    Four roots at a time, so that each entry of M is read once for the four; roots has room for the padding.
    """
    n = len(dims)
    for r in range(0, n, 4):
        for j in range(n):
            for i in range(n):
                for lane in range(LANES):
                    x0, x1, x2, x3 = (
                        roots[r, lane],
                        roots[r + 1, lane],
                        roots[r + 2, lane],
                        roots[r + 3, lane],
                    )
                    entry = M[1, i, j, lane]
                    R0, R1, R2, R3 = entry, entry, entry, entry
                    for k in range(2, n + 1):
                        entry = M[k, i, j, lane]
                        R0 = R0 * x0 + entry
                        R1 = R1 * x1 + entry
                        R2 = R2 * x2 + entry
                        R3 = R3 * x3 + entry
                    column[0, i, lane] = R0
                    column[1, i, lane] = R1
                    column[2, i, lane] = R2
                    column[3, i, lane] = R3
            for q in range(4):
                for lane in range(LANES):
                    total = column[q, 0, lane] * column[q, 0, lane]
                    for i in range(1, n):
                        total += column[q, i, lane] * column[q, i, lane]
                    largest[1, lane] = total
                    largest[2, lane] = -D1 if j == 0 else largest[3 + q, lane]
                for i in range(n):
                    for lane in range(LANES):
                        best[q, i, lane] = (
                            column[q, i, lane]
                            if (largest[1, lane] > largest[2, lane]) | (j == 0)
                            else best[q, i, lane]
                        )
                for lane in range(LANES):
                    largest[3 + q, lane] = (
                        largest[1, lane]
                        if (largest[1, lane] > largest[2, lane]) | (j == 0)
                        else largest[2, lane]
                    )
        for q in range(min(4, n - r)):
            for lane in range(LANES):
                largest[0, lane] = D1 / (np.sqrt(largest[3 + q, lane]) + 1e-30)
            for i in range(n):
                for lane in range(LANES):
                    V[i, r + q, lane] = np.float32(best[q, i, lane] * largest[0, lane])


@inlined
def product(dims, n, X, Y, Z, factor):
    """Z = factor X Y, float32."""
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                total = X[i, 0, lane] * Y[0, j, lane]
                for k in range(1, len(dims)):
                    total += X[i, k, lane] * Y[k, j, lane]
                Z[i, j, lane] = total * factor


@inlined
def gram(dims, n, V, Y):
    """Y = V^T V, float32; symmetric, so only half is computed."""
    for i in range(n):
        for j in range(i, n):
            for lane in range(LANES):
                total = V[0, i, lane] * V[0, j, lane]
                for k in range(1, len(dims)):
                    total += V[k, i, lane] * V[k, j, lane]
                Y[i, j, lane] = total
            for lane in range(LANES):
                Y[j, i, lane] = Y[i, j, lane]


@inlined
def three_minus(n, Y, T):
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                T[i, j, lane] = (F3 if i == j else F0) - Y[i, j, lane]


@inlined
def orthogonalise(dims, n, A, V, values, Y, T, Z):
    """Two Newton-Schulz steps, T from Y alone as on the telemetry path, then the Rayleigh quotients."""
    gram(dims, n, V, Y)
    three_minus(n, Y, T)
    product(dims, n, T, Y, Z, HALF)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                Y[i, j, lane] = HALF * T[i, j, lane]
    three_minus(n, Z, T)
    product(dims, n, Y, T, Z, HALF)
    product(dims, n, V, Z, Y, F1)
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                V[i, j, lane] = Y[i, j, lane]
    product(dims, n, A, V, Y, F1)
    for j in range(n):
        for lane in range(LANES):
            total = V[0, j, lane] * Y[0, j, lane]
            for i in range(1, len(dims)):
                total += V[i, j, lane] * Y[i, j, lane]
            values[j, lane] = total


@inlined
def judge(dims, n, As, s, V, values, orthogonality, reconstruction, Y):
    """||V^T V - I||_F and ||A/s - V (L/s) V^T||_F; then each column's largest entry is made positive."""
    gram(dims, n, V, Y)
    for lane in range(LANES):
        orthogonality[lane] = F0
        reconstruction[lane] = F0
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                x = Y[i, j, lane] - (F1 if i == j else F0)
                orthogonality[lane] += x * x
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                Y[i, j, lane] = V[i, j, lane] * (values[j, lane] * (F1 / s[lane]))
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                total = Y[i, 0, lane] * V[j, 0, lane]
                for k in range(1, len(dims)):
                    total += Y[i, k, lane] * V[j, k, lane]
                x = As[i, j, lane] - total
                reconstruction[lane] += x * x
    for lane in range(LANES):
        orthogonality[lane] = np.sqrt(orthogonality[lane])
        reconstruction[lane] = np.sqrt(reconstruction[lane])
    for j in range(n):
        for lane in range(LANES):
            decisive = V[0, j, lane]
            for i in range(1, len(dims)):
                x = V[i, j, lane]
                decisive = x if abs(x) > abs(decisive) else decisive
            Y[0, j, lane] = -F1 if decisive < F0 else F1
        for i in range(n):
            for lane in range(LANES):
                V[i, j, lane] *= Y[0, j, lane]
