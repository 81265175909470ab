"""Straight-line lane code for the smallest sizes (n <= 4), written out entry by entry.

For these sizes a whole phase fits one lane loop: matrices live in vector registers and are read and written
once. The source is generated, because the compiler does not unroll nested loops before it vectorises. The
order of operations is that of reference.py, as in the looped phases of numba_kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from . import numba_setup

LARGEST_UNROLLED = 4


class Body:
    """Statements of one lane loop, over named matrices whose entries are scalars of the lane."""

    def __init__(self, n: int):
        self.n, self.lines = n, []

    def let(self, name: str, expression: str) -> None:
        self.lines.append(f"{name} = {expression}")

    def entries(self) -> Iterable[tuple[int, int]]:
        return ((i, j) for i in range(self.n) for j in range(self.n))

    def read(self, name: str, array: str) -> None:
        for i, j in self.entries():
            self.let(f"{name}{i}{j}", f"{array}[{i}, {j}, lane]")

    def write(self, name: str, array: str) -> None:
        for i, j in self.entries():
            self.let(f"{array}[{i}, {j}, lane]", f"{name}{i}{j}")

    def dot(self, left: Callable[[int], str], right: Callable[[int], str]) -> str:
        return " + ".join(f"{left(k)} * {right(k)}" for k in range(self.n))

    def product(self, name: str, X: str, Y: str, factor: str = "") -> None:
        for i, j in self.entries():
            total = self.dot(lambda k, i=i: f"{X}{i}{k}", lambda k, j=j: f"{Y}{k}{j}")
            self.let(f"{name}{i}{j}", f"({total}) * {factor}" if factor else total)

    def gram(self, name: str, V: str) -> None:
        for i, j in self.entries():
            total = self.dot(lambda k, i=i: f"{V}{k}{i}", lambda k, j=j: f"{V}{k}{j}")
            self.let(f"{name}{i}{j}", total if i <= j else f"{name}{j}{i}")

    def total(self, name: str, terms: Iterable[str]) -> None:
        self.let(name, " + ".join(terms))

    def function(self, arguments: str, loop: str = "if True:") -> Callable:
        """The lane loop as a Python function, inside another loop if one is given."""
        lines = [f"def phase(dims, {arguments}):", f"    {loop}", "        for lane in range(LANES):"]
        lines += [f"            {line}" for line in self.lines]
        scope = {**vars(numba_setup), "np": np}
        exec("\n".join(lines), scope)
        return scope["phase"]


def scale(n: int) -> Callable:
    b = Body(n)
    b.read("a", "A")
    b.let("m", "abs(a00)")
    for i, j in b.entries():
        b.let("m", f"abs(a{i}{j}) if abs(a{i}{j}) > m else m")
    b.let("unit", "SHRINK if m > LARGE else F1")
    names = [f"x{i}{j}" for i, j in b.entries()]
    for i, j in b.entries():
        b.let(f"x{i}{j}", f"a{i}{j} * unit")
    groups = n * n // 8
    partial = (
        [" + ".join(f"{x} * {x}" for x in names[p : 8 * groups : 8]) for p in range(8)] if groups else []
    )
    rest = [f"{x} * {x}" for x in names[8 * groups :]]
    b.total("square", [f"({p})" for p in partial] + rest)
    b.let("norm", "np.sqrt(square) / unit / root_n")
    b.let("norm", "SMALLEST_SCALE if norm < SMALLEST_SCALE else norm")
    b.let("s[lane]", "norm")
    for i, j in b.entries():
        b.let(f"a{i}{j}", f"a{i}{j} / norm")
    b.write("a", "As")
    pairs = [(i, j) for i, j in b.entries() if j < i]
    for i, j in pairs:
        b.let(f"d{i}{j}", f"a{i}{j} - a{j}{i}")
    b.total("suspect[lane]", [f"F2 * (d{i}{j} * d{i}{j})" for i, j in pairs])
    return b.function("root_n, A, As, s, suspect, row")


def leverrier(n: int) -> Callable:
    b = Body(n)
    for i, j in b.entries():
        b.let(f"a{i}{j}", f"np.float64(As[{i}, {j}, lane])")
    b.let("t", "-(" + " + ".join(f"a{i}{i}" for i in range(n)) + ")")
    b.let(f"c[{n}, lane]", "D1")
    b.let(f"c[{n - 1}, lane]", "t")
    for k in range(2, n + 1):
        if k == 2:
            for i, j in b.entries():
                b.let(f"M{i}{j}", f"a{i}{j}")
        else:
            b.product("N", "a", "M")
            for i, j in b.entries():
                b.let(f"M{i}{j}", f"N{i}{j}")
        for i in range(n):
            b.let(f"M{i}{i}", f"M{i}{i} + t")
        for i, j in b.entries():
            b.let(f"M[{k}, {i}, {j}, lane]", f"M{i}{j}")
        b.let("t", "-(" + " + ".join(f"a{i}{j} * M{i}{j}" for i, j in b.entries()) + f") / {float(k)}")
        b.let(f"c[{n - k}, lane]", "t")
    return b.function("As, Ad, M, c, block")


def start(n: int) -> Callable:
    """The search's own copy of the polynomial, and z = the sorted diagonal plus its offsets."""
    b = Body(n)
    for j in range(n + 1):
        b.let(f"coefficients[{j}, lane]", f"np.float32(c[{j}, lane])")
    for i in range(n):
        b.let(f"z{i}", f"As[{i}, {i}, lane]")
    for last in range(n - 1, 0, -1):
        for i in range(last):
            b.let("swap", f"z{i + 1} < z{i}")
            b.let(f"z{i}, z{i + 1}", f"(z{i + 1} if swap else z{i}), (z{i} if swap else z{i + 1})")
    for i in range(n):
        b.let(f"z[{i}, lane]", f"z{i} + K[{5 + i}]")
    return b.function("K, As, c, coefficients, z")


def adjugate(n: int) -> Callable:
    """The normalised column of largest norm of the adjugate, for root r."""
    b = Body(n)
    b.let("x", "roots[r, lane]")
    for j in range(n):
        for i in range(n):
            b.let("R", f"{'x' if i == j else 'D0'} + M[2, {i}, {j}, lane]")
            for k in range(3, n + 1):
                b.let("R", f"R * x + M[{k}, {i}, {j}, lane]")
            b.let(f"R{i}", "R")
        b.total("square", [f"R{i} * R{i}" for i in range(n)])
        if j == 0:
            b.let("largest", "square")
            for i in range(n):
                b.let(f"best{i}", f"R{i}")
        else:
            b.let("greater", "square > largest")
            b.let("largest", "square if greater else largest")
            for i in range(n):
                b.let(f"best{i}", f"R{i} if greater else best{i}")
    b.let("largest", "D1 / (np.sqrt(largest) + 1e-30)")
    for i in range(n):
        b.let(f"V[{i}, r, lane]", f"np.float32(best{i} * largest)")
    return b.function("M, roots, column, best, largest, V", loop="for r in range(len(dims)):")


def orthogonalise(n: int) -> Callable:
    """Newton-Schulz, then the Rayleigh quotients."""
    b = Body(n)
    b.read("V", "V")
    b.gram("Y", "V")
    for i, j in b.entries():
        b.let(f"T{i}{j}", f"{'F3' if i == j else 'F0'} - Y{i}{j}")
    b.product("Z", "T", "Y", "HALF")
    for i, j in b.entries():
        b.let(f"X{i}{j}", f"HALF * T{i}{j}")
        b.let(f"U{i}{j}", f"{'F3' if i == j else 'F0'} - Z{i}{j}")
    b.product("Q", "X", "U", "HALF")
    b.product("W", "V", "Q")
    b.write("W", "V")
    b.read("a", "A")
    b.product("P", "a", "W")
    for j in range(n):
        b.total(f"values[{j}, lane]", [f"W{i}{j} * P{i}{j}" for i in range(n)])
    return b.function("A, V, values, Y, T, Z")


def judge(n: int) -> Callable:
    """The residuals, then the canonical signs."""
    b = Body(n)
    b.read("V", "V")
    b.gram("Y", "V")
    for i, j in b.entries():
        b.let(f"e{i}{j}", f"Y{i}{j} - {'F1' if i == j else 'F0'}")
    b.total("square", [f"e{i}{j} * e{i}{j}" for i, j in b.entries()])
    b.let("orthogonality[lane]", "np.sqrt(square)")
    b.let("inverse", "F1 / s[lane]")
    for j in range(n):
        b.let(f"w{j}", f"values[{j}, lane] * inverse")
    for i, j in b.entries():
        b.let(f"W{i}{j}", f"V{i}{j} * w{j}")
    for i, j in b.entries():
        b.let(
            f"e{i}{j}",
            f"As[{i}, {j}, lane] - ({b.dot(lambda k, i=i: f'W{i}{k}', lambda k, j=j: f'V{j}{k}')})",
        )
    b.total("square", [f"e{i}{j} * e{i}{j}" for i, j in b.entries()])
    b.let("reconstruction[lane]", "np.sqrt(square)")
    for j in range(n):
        b.let("x", f"V0{j}")
        for i in range(1, n):
            b.let("x", f"V{i}{j} if abs(V{i}{j}) > abs(x) else x")
        b.let("sign", "-F1 if x < F0 else F1")
        for i in range(n):
            b.let(f"V[{i}, {j}, lane]", f"V{i}{j} * sign")
    return b.function("As, s, V, values, orthogonality, reconstruction, Y")
