"""Products and the residual test across a tile of matrices, as loops over the lanes that LLVM vectorises.

What keeps them vectorisable: the innermost dimension of a product is a constant to the compiler (the length
of the tuple `dims`), so that the loop over it unrolls, while n is read from an array: the compiler would
unroll the loops over entries too, which takes time and gains nothing.
"""

from __future__ import annotations

import numpy as np

from .numba_setup import F0, F1, LANES, inlined


@inlined
def product(dims, n, X, Y, Z):
    """Z = X Y, float32."""
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                total = X[i, 0, lane] * Y[0, j, lane]
                for k in range(1, len(dims)):
                    total += X[i, k, lane] * Y[k, j, lane]
                Z[i, j, lane] = total


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
def judge(dims, n, A, V, values, orthogonality, reconstruction, Y):
    """||V^T V - I||_F and ||A - V L V^T||_F; then each column's largest entry is made positive."""
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
                Y[i, j, lane] = V[i, j, lane] * values[j, lane]
    for i in range(n):
        for j in range(n):
            for lane in range(LANES):
                total = Y[i, 0, lane] * V[j, 0, lane]
                for k in range(1, len(dims)):
                    total += Y[i, k, lane] * V[j, k, lane]
                x = A[i, j, lane] - total
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
