"""The conduit in plain torch: the readable algorithm, against which the other backends are tested.

Matrices are stored with the batch in the last axis, (n, n, B), and every sum is written out in a fixed
order. Each operation therefore acts on every matrix alone: a row's result depends neither on the batch it is
in nor on the number of threads, and a compiled backend that keeps the order of operations (and does not
contract a*b + c into one rounding) reproduces it bit for bit.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

LAGUERRE_STEPS = 5
POLISH_STEPS = 3
ORTHOGONALISATION_STEPS = 2
SMALLEST_SCALE = 1e-12
FRICTION_DELTA = 1e-8
SETTLE_THRESHOLD = 1e-6
START_SPREAD = 1e-4
# Above this size the roots of the float32 polynomial are too inaccurate, so the search runs in float64.
LARGEST_FLOAT32_SEARCH = 6


@dataclass
class PathResult:
    """The telemetry path's own result, batch last: eigenpairs unrepaired, telemetry sorted with them."""

    eigenvalues: Tensor  # (n, B)
    eigenvectors: Tensor  # (n, n, B)
    char_coeffs: Tensor  # (n, B)
    refinement_residual: Tensor  # (B,)
    reconstruction_residual: Tensor  # (B,) ||A/s - V (L/s) V^T||_F
    scale: Tensor  # (B,) s
    friction: Tensor | None = None  # (n, B)
    settle: Tensor | None = None  # (n, B)
    z_trajectory: Tensor | None = None  # (n, 5, B), in the order of extraction
    dp_trajectory: Tensor | None = None  # (n, 5, B)
    mstore: Tensor | None = None  # (n + 1, n, n, B)


class Observer:
    """Records friction, settle and, for research, the trajectories. It reads the search, changing nothing."""

    def __init__(self, n: int, batch: int, device: torch.device, research: bool = False):
        self.friction = torch.zeros(n, batch, device=device)
        self.settle = torch.full((n, batch), float(LAGUERRE_STEPS), device=device)
        self.z = torch.zeros(n, LAGUERRE_STEPS, batch, device=device) if research else None
        self.dp = torch.zeros(n, LAGUERRE_STEPS, batch, device=device) if research else None

    def see(self, root: int, step: int, z: Tensor, p: Tensor, dp: Tensor) -> None:
        slope = dp.abs().float()
        self.friction[root] += 1.0 / (slope + FRICTION_DELTA)
        first = (p.abs().float() < SETTLE_THRESHOLD) & (self.settle[root] == LAGUERRE_STEPS)
        self.settle[root] = torch.where(first, float(step), self.settle[root])
        if self.z is not None:
            self.z[root, step] = z.float()
            self.dp[root, step] = slope


def square_root(x: Tensor) -> Tensor:
    """Correctly rounded square root.

    torch.sqrt on a CPU may go through a vector-math library that is one unit in the last place off for up to
    a quarter of its arguments; NumPy's, and a CUDA device's, is the rounded exact value.
    """
    if x.device.type != "cpu":
        return x.sqrt()
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.sqrt(x.numpy()))


def ordered_sum(terms: Tensor) -> Tensor:
    """Sum over the first axis, one term after the other."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def product(X: Tensor, Y: Tensor) -> Tensor:
    """X Y for (n, n, B), each entry summed in ascending order of the inner index."""
    total = X[:, 0, None] * Y[None, 0]
    for k in range(1, X.shape[1]):
        total = total + X[:, k, None] * Y[None, k]
    return total


def sum_of_squares(terms: Tensor) -> Tensor:
    """Sum of squares over the first axis in the order in which torch.linalg.norm takes them on a CPU.

    Eight running sums over the whole groups of eight, added up in turn, then the terms left over. The order
    matters: s moved by one unit in the last place moves friction by as much as its conditioning allows.
    """
    groups = len(terms) // 8
    squares = terms * terms
    total = torch.zeros_like(squares[0])
    if groups:
        for partial in squares[: 8 * groups].reshape(groups, 8, *squares.shape[1:]).unbind(1):
            total = total + ordered_sum(partial)
    for square in squares[8 * groups :]:
        total = total + square
    return total


def scale_of(A: Tensor) -> Tensor:
    """s = max(||A||_F / sqrt(n), 1e-12) of A (n, n, B), float32 (B,).

    Matrices with entries above 2^60 are scaled by 2^-70 before squaring, which changes no digit and avoids
    overflow, so that powers of two pass through s exactly while ||A||_F has a float32.
    """
    n = A.shape[0]
    entries = A.reshape(n * n, -1)
    unit = torch.where(entries.abs().amax(0) > 2.0**60, 2.0**-70, 1.0)
    norm = square_root(sum_of_squares(entries * unit)) / unit
    return (norm / torch.full_like(norm, math.sqrt(n))).clamp(min=SMALLEST_SCALE)


def faddeev_leverrier(As: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """M_1 .. M_n, each (n, n, B), and c_0 .. c_n, each (B,), in float64, of As (n, n, B)."""
    n = As.shape[0]
    eye = torch.eye(n, dtype=As.dtype, device=As.device)[:, :, None]
    M = [eye.expand_as(As)]
    c = [torch.ones_like(As[0, 0])] * (n + 1)
    for k in range(1, n + 1):
        if k > 1:
            M.append(product(As, M[-1]) + c[n - k + 1] * eye)
        c[n - k] = -ordered_sum((As * M[-1]).reshape(n * n, -1)) / k
    return M, c


def horner(c: list[Tensor], degree: int, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """p, p' and p''/2 at z of the polynomial c[0] .. c[degree]."""
    p, dp, half_d2 = c[degree], torch.zeros_like(z), torch.zeros_like(z)
    for j in range(degree - 1, -1, -1):
        half_d2 = half_d2 * z + dp
        dp = dp * z + p
        p = p * z + c[j]
    return p, dp, half_d2


def laguerre_step(degree: int, z: Tensor, p: Tensor, dp: Tensor, half_d2: Tensor) -> Tensor:
    """The next iterate; z itself where p has vanished or the step is not defined."""
    ok = p.abs() > 1e-30
    divisor = torch.where(ok, p, 1.0)
    G = torch.where(ok, dp / divisor, 0.0)
    H = G * G - torch.where(ok, 2.0 * half_d2 / divisor, 0.0)
    root = square_root(((degree - 1.0) * (degree * H - G * G)).clamp(min=0.0))
    plus, minus = G + root, G - root
    denominator = torch.where(plus.abs() >= minus.abs(), plus, minus)
    ok = denominator.abs() > 1e-20
    return z - torch.where(ok, degree * torch.where(ok, denominator, 1.0).reciprocal(), 0.0)


def deflate(c: list[Tensor], degree: int, z: Tensor) -> list[Tensor]:
    """The quotient of c[0] .. c[degree] by (x - z), by synthetic division."""
    quotient = [c[degree]]
    for j in range(degree - 1, 0, -1):
        quotient.append(c[j] + z * quotient[-1])
    return quotient[::-1]


@functools.cache
def start_offsets(n: int) -> np.ndarray:
    """What is added to the sorted diagonal where the root search starts, (n,), in the search's precision."""
    dtype = torch.float32 if n <= LARGEST_FLOAT32_SEARCH else torch.float64
    return torch.linspace(-START_SPREAD, START_SPREAD, n, dtype=dtype, device="cpu").numpy()


def laguerre_roots(c: list[Tensor], diagonal: Tensor, observer: Observer | None) -> Tensor:
    """Approximate roots (n, B) in order of extraction, from the sorted diagonal (n, B) of A / s."""
    n = diagonal.shape[0]
    offsets = torch.from_numpy(start_offsets(n)).to(diagonal.device)
    c = [coefficient.to(offsets.dtype) for coefficient in c]
    start = diagonal.to(offsets.dtype).sort(dim=0).values + offsets[:, None]
    roots = []
    for root in range(n):
        degree, z = n - root, start[root]
        for step in range(LAGUERRE_STEPS):
            p, dp, half_d2 = horner(c, degree, z)
            if observer is not None:
                observer.see(root, step, z, p, dp)
            z = laguerre_step(degree, z, p, dp, half_d2)
        roots.append(z)
        c = deflate(c, degree, z)
    return torch.stack(roots)


def newton_polish(c: list[Tensor], roots: Tensor) -> Tensor:
    """Newton's iteration for all roots (n, B) on the undeflated polynomial, in float64."""
    x = roots.double()
    for _ in range(POLISH_STEPS):
        p, dp = torch.ones_like(x), torch.zeros_like(x)
        for coefficient in reversed(c[:-1]):
            dp = dp * x + p
            p = p * x + coefficient
        ok = dp.abs() > 1e-30
        x = x - torch.where(ok, p / torch.where(ok, dp, 1.0), 0.0)
    return x


def adjugate_vector(M: list[Tensor], root: Tensor) -> Tensor:
    """The normalised column of largest norm of adj(root I - A), (n, B) float32. The first on a tie."""
    R = M[0]
    for Mk in M[1:]:
        R = R * root + Mk
    squares = ordered_sum(R * R)
    largest, column = squares[0], R[:, 0]
    for j in range(1, R.shape[1]):
        greater = squares[j] > largest
        largest = torch.where(greater, squares[j], largest)
        column = torch.where(greater, R[:, j], column)
    return (column * (square_root(largest) + 1e-30).reciprocal()).float()


def newton_schulz(V: Tensor) -> Tensor:
    """V times an approximation of (V^T V)^(-1/2), float32.

    T comes from Y alone in both steps, so an orthogonality error e leaves as about -e/2. The telemetry
    (refinement_residual, and the order of the Rayleigh quotients) is defined with it; repairs do better.
    """
    three = 3.0 * torch.eye(V.shape[0], device=V.device)[:, :, None]
    Y = product(V.transpose(0, 1), V)
    T = three - Y
    X = 0.5 * T
    for _ in range(1, ORTHOGONALISATION_STEPS):
        Y = 0.5 * product(T, Y)
        T = three - Y
        X = 0.5 * product(X, T)
    return product(V, X)


def orthogonality_residual(V: Tensor) -> Tensor:
    """||V^T V - I||_F, (B,)."""
    n = V.shape[0]
    excess = product(V.transpose(0, 1), V) - torch.eye(n, dtype=V.dtype, device=V.device)[:, :, None]
    return square_root(ordered_sum((excess * excess).reshape(n * n, -1)))


def reconstruction_residual(As: Tensor, scaled_eigenvalues: Tensor, V: Tensor) -> Tensor:
    """||A/s - V (L/s) V^T||_F, (B,)."""
    n = As.shape[0]
    difference = As - product(V * scaled_eigenvalues[None], V.transpose(0, 1))
    return square_root(ordered_sum((difference * difference).reshape(n * n, -1)))


def rayleigh_quotients(A: Tensor, V: Tensor) -> Tensor:
    """v^T A v for each column, (n, B)."""
    return ordered_sum(V * product(A, V))


def follow(A: Tensor, telemetry: bool = True, research: bool = False) -> PathResult:
    """The whole path for A (n, n, B) float32. Without telemetry: the plain eigensolver, same arithmetic."""
    n, _, batch = A.shape
    s = scale_of(A)
    As = A / s
    M, c = faddeev_leverrier(As.double())
    observer = Observer(n, batch, A.device, research) if telemetry else None
    roots = newton_polish(c, laguerre_roots(c, torch.diagonal(As).T, observer))
    V = newton_schulz(torch.stack([adjugate_vector(M, root) for root in roots], dim=1))
    eigenvalues = rayleigh_quotients(A, V)

    # NaN sorts last; a stable sort keeps the order of extraction among equals.
    order = torch.nan_to_num(eigenvalues, nan=math.inf, posinf=math.inf, neginf=-math.inf)
    order = order.sort(dim=0, stable=True).indices
    result = PathResult(
        eigenvalues=eigenvalues.gather(0, order),
        eigenvectors=V.gather(1, order[None].expand_as(V)),
        char_coeffs=torch.stack(c[:-1]).float(),
        refinement_residual=orthogonality_residual(V),
        reconstruction_residual=reconstruction_residual(As, eigenvalues * s.reciprocal(), V),
        scale=s,
    )
    if observer is not None:
        result.friction, result.settle = observer.friction.gather(0, order), observer.settle.gather(0, order)
        result.z_trajectory, result.dp_trajectory = observer.z, observer.dp
    if research:
        result.mstore = torch.stack([torch.zeros_like(M[0]), *M])
    return result


def gram_from_svd(Vt: Tensor, S: Tensor) -> Tensor:
    """Vt^T diag(S^2) Vt, (n, n, B) float32, of Vt (n, n, B) and S (n, B); symmetric to the last bit."""
    W = Vt * S[:, None]
    return product(W.transpose(0, 1), W)
