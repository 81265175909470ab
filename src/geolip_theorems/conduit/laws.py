"""Measures of what the conduit's theorems claim: perturbation bounds, branches, dependence on the spectrum.

Matrices are (B, n, n) float32 on the CPU; everything returned is NumPy.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from . import conduit
from .reference import (
    SETTLE_THRESHOLD,
    Observer,
    faddeev_leverrier,
    laguerre_roots,
    scale_of,
)


class BranchObserver(Observer):
    """Also records which way each Laguerre step went: the sign of p'/p decides the sign of its square root.

    Once a root has settled the sign is rounding noise, and so is the step; those are left out.
    """

    def __init__(self, n: int, batch: int, device: torch.device):
        super().__init__(n, batch, device)
        self.branches: list[Tensor] = []

    def see(self, root: int, step: int, z: Tensor, p: Tensor, dp: Tensor) -> None:
        super().see(root, step, z, p, dp)
        self.branches.append(torch.where(p.abs() >= SETTLE_THRESHOLD, p.sign() * dp.sign(), 0.0))


def branch_signature(A: Tensor) -> np.ndarray:
    """(B, k) int64: order of the start values, sign choices, settle indices, and order of the roots found.

    Between matrices of one signature the solver performs the same smooth operations.
    """
    At = A.permute(1, 2, 0).contiguous()
    As = At / scale_of(At)
    _, c = faddeev_leverrier(As.double())
    diagonal = torch.diagonal(As).T
    observer = BranchObserver(len(At), len(A), A.device)
    roots = laguerre_roots(c, diagonal, observer)
    parts = [diagonal.argsort(0), torch.stack(observer.branches), observer.settle, roots.argsort(0)]
    return torch.cat([part.long() for part in parts]).T.numpy()


def weyl_excess(A: Tensor, E: Tensor) -> np.ndarray:
    """max_i |l_i(A + E) - l_i(A)| - ||E||_2, over ||A||_2: (B,). Weyl's theorem: at most rounding.

    Golub & Van Loan, Matrix Computations, theorem 8.1.5 and its corollary.
    """
    moved = (A + E).double() - A.double()
    change = (conduit(A + E).eigenvalues - conduit(A).eigenvalues).double().abs().amax(-1)
    size = torch.linalg.matrix_norm(A.double(), 2)
    return ((change - torch.linalg.matrix_norm(moved, 2)) / size).numpy()


def davis_kahan_excess(A: Tensor, E: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """sin(angle) - ||E||_2 / gap for each eigenvector, and gap / ||A||_2; each (B, n).

    gap is the distance of l_i(A) from the other eigenvalues of A + E. C. Davis, W. M. Kahan, SIAM J. Numer.
    Anal. 7 (1970), the sin(theta) theorem for one vector.
    """
    before, after = conduit(A), conduit(A + E)
    V, W = before.eigenvectors.double(), after.eigenvectors.double()
    # |w - v (v.w)| keeps its digits where 1 - (v.w)^2 loses them.
    sine = torch.linalg.vector_norm(W - V * (V * W).sum(-2, keepdim=True), dim=-2)
    apart = (before.eigenvalues[..., :, None] - after.eigenvalues[..., None, :]).double().abs()
    apart[..., range(A.shape[-1]), range(A.shape[-1])] = torch.inf
    gap = apart.amin(-1)
    moved = torch.linalg.matrix_norm((A + E).double() - A.double(), 2)[:, None]
    size = torch.linalg.matrix_norm(A.double(), 2)[:, None]
    return (sine - moved / gap).numpy(), (gap / size).numpy()


def friction_change(A: Tensor, B: Tensor) -> np.ndarray:
    """max over roots of |log friction(A) - log friction(B)|, (B,)."""
    return (conduit(A).friction.log() - conduit(B).friction.log()).abs().amax(-1).numpy()


def ulp_envelope(A: Tensor, draws: int = 8, seed: int = 0) -> np.ndarray:
    """The largest friction_change of each matrix when its entries move one unit in the last place, (B,)."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.ones(A.shape[-2:], dtype=torch.bool).triu()
    largest = np.zeros(len(A))
    for _ in range(draws):
        up = torch.rand(A.shape, generator=generator) < 0.5
        moved = torch.nextafter(A, torch.where(up, torch.inf, -torch.inf))
        largest = np.maximum(largest, friction_change(A, torch.where(upper, moved, moved.mT)))
    return largest


def isospectral(A: Tensor, seed: int = 0) -> Tensor:
    """For each matrix another one with its spectrum (to float32 rounding) in a random basis."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.linalg.eigvalsh(A.double())
    Q, R = torch.linalg.qr(torch.randn(A.shape, dtype=torch.float64, generator=generator))
    Q = Q * torch.diagonal(R, dim1=-2, dim2=-1).sign()[..., None, :]
    B = ((Q * values[..., None, :]) @ Q.mT).float()
    upper = torch.ones(A.shape[-2:], dtype=torch.bool).triu()
    return torch.where(upper, B, B.mT)


def explained_by_spectrum(A: Tensor, target: np.ndarray | None = None, seed: int = 0) -> float:
    """The share of the target's variance (B, k) that the spectrum of A / s explains out of sample (mean R^2).

    The target is log friction unless another is given. Gradient boosting on the scaled eigenvalues, their
    gaps and the gaps' logarithms, fitted on one half of the matrices and judged on the other.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor
    from sklearn.metrics import r2_score

    packet = conduit(A)
    values = (packet.eigenvalues / packet.eigenvalues.square().mean(-1, keepdim=True).sqrt()).numpy()
    gaps = np.diff(values, axis=-1)
    features = np.concatenate([values, gaps, np.log(np.abs(gaps) + 1e-9)], axis=1)
    target = packet.friction.log().numpy() if target is None else target
    order = np.random.default_rng(seed).permutation(len(A))
    train, test = order[: len(A) // 2], order[len(A) // 2 :]
    scores = []
    for root in range(target.shape[1]):
        model = HistGradientBoostingRegressor(random_state=seed).fit(features[train], target[train, root])
        scores.append(r2_score(target[test, root], model.predict(features[test])))
    return float(np.mean(scores))
