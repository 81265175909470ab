"""The Laguerre search with its telemetry, and the Newton polish, across a tile of matrices (Numba)."""

from __future__ import annotations

import numpy as np

from .numba_setup import D0, D1, DELTA, F0, F1, LANES, SETTLED, STEPS, STEPS_F, inlined


@inlined
def start_values(dims, K, As, c, coefficients, z):
    """The search's own copy of the polynomial, and z = the sorted diagonal plus its offsets."""
    n = len(dims)
    for j in range(n + 1):
        for lane in range(LANES):
            coefficients[j, lane] = c[j, lane]
    for i in range(n):
        for lane in range(LANES):
            z[i, lane] = As[i, i, lane]
    for last in range(n - 1, 0, -1):
        for i in range(last):
            for lane in range(LANES):
                low, high = z[i, lane], z[i + 1, lane]
                z[i, lane] = high if high < low else low
                z[i + 1, lane] = low if high < low else high
    for i in range(n):
        for lane in range(LANES):
            z[i, lane] += K[5 + i]


@inlined
def find_root(n, degree, K, c, z, friction, settle):
    """Five Laguerre steps for root n - degree, with its telemetry, then deflation by synthetic division.

    There are always n Horner steps: the coefficients above the degree are zero, which changes nothing.
    """
    root = n - degree
    zero, one, two, vanished, flat = K[0], K[1], K[2], K[3], K[4]
    d, less = K[5 + n + degree], K[5 + n + degree - 1]
    for lane in range(LANES):
        friction[root, lane] = F0
        settle[root, lane] = STEPS_F
    for step in range(STEPS):
        now = np.float32(step)
        for lane in range(LANES):
            x = z[root, lane]
            p = c[n, lane]
            dp = zero
            half_d2 = zero
            for t in range(n):
                half_d2 = half_d2 * x + dp
                dp = dp * x + p
                p = p * x + c[n - 1 - t, lane]
            friction[root, lane] += F1 / (np.float32(abs(dp)) + DELTA)
            first = (np.float32(abs(p)) < SETTLED) & (settle[root, lane] == STEPS_F)
            settle[root, lane] = now if first else settle[root, lane]

            ok = abs(p) > vanished
            divisor = p if ok else one
            G = dp / divisor
            G = G if ok else zero
            curvature = two * half_d2 / divisor if degree > 1 else zero
            H = G * G - (curvature if ok else zero)
            inner = less * (d * H - G * G)
            # For degree 1 inner is 0, or NaN, and so is its root.
            square_root = np.sqrt(zero if inner < zero else inner) if degree > 1 else inner
            plus = G + square_root
            minus = G - square_root
            denominator = plus if abs(plus) >= abs(minus) else minus
            ok = abs(denominator) > flat
            move = d * (one / (denominator if ok else one))
            z[root, lane] = x - (move if ok else zero)
    if degree > 1:
        for lane in range(LANES):
            x = z[root, lane]
            b = c[degree, lane]
            for t in range(1, degree):
                j = degree - t
                following = c[j, lane] + x * b
                c[j, lane] = b
                b = following
            c[0, lane] = b
            c[degree, lane] = zero


@inlined
def find_roots(n, K, c, z, friction, settle):
    for degree in range(n, 0, -1):
        find_root(n, degree, K, c, z, friction, settle)


@inlined
def polish(n, c, z, roots):
    """Newton on the undeflated polynomial, float64."""
    for i in range(n):
        for lane in range(LANES):
            roots[i, lane] = np.float64(z[i, lane])
        for _ in range(3):
            for lane in range(LANES):
                x = roots[i, lane]
                p = D1
                dp = D0
                for t in range(n):
                    dp = dp * x + p
                    p = p * x + c[n - 1 - t, lane]
                ok = abs(dp) > 1e-30
                move = p / (dp if ok else D1)
                roots[i, lane] = x - (move if ok else D0)
