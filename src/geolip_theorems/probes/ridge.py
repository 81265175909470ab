"""Ridge classifiers on sums of kernels, solved for every set of held-out folds from shared products.

One penalty for all features punishes a combination for its larger part. Here a combination is a
weighted sum of the groups' kernels, K = sum_b w_b Z_b Z_b^T: the weights and the penalty together give
every group a penalty of its own (banded ridge: Nunez-Elizalde, Huth and Gallant 2019).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

SMALL = 64  # columns of a system

Weights = tuple[tuple[str, float], ...]


class RidgeBank:
    """Held-out scores of ridge classifiers with an unpenalised intercept, for any weighting of groups.

    Products that many fits share are kept: kernels between images (N x N a group) where the features
    outnumber the training images, else each fold's products between features (p x p a pair of groups).

    Args:
        blocks: features (N, p) float32 a name.
        labels: (N,) int64 from 0.
        folds: (N,) int64 fold of each image.
        device: where the products live; float32 throughout.

    Cost: N^2 p, or N p^2, once a group; n^3 / 3, or p^3 / 3, a penalty and a fit on n images.
    """

    def __init__(
        self, blocks: Mapping[str, np.ndarray], labels: np.ndarray, folds: np.ndarray, device: str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.blocks = {name: torch.as_tensor(x, device=self.device) for name, x in blocks.items()}
        self.target = torch.nn.functional.one_hot(torch.as_tensor(labels, device=self.device)).float()
        self._kernels: dict[str, torch.Tensor] = {}
        self._set_folds(folds)

    def refold(self, folds: np.ndarray) -> RidgeBank:
        """The same features with other folds; kernels are shared."""
        other = object.__new__(RidgeBank)
        other.device, other.blocks, other.target = self.device, self.blocks, self.target
        other._kernels = self._kernels
        other._set_folds(folds)
        return other

    def _set_folds(self, folds: np.ndarray) -> None:
        """Put the images in order of their folds, so that what a fit reads are blocks of the kernels."""
        self.n_folds = int(folds.max()) + 1
        sizes = np.bincount(folds)
        ends = np.cumsum(sizes)
        self.order = torch.as_tensor(np.argsort(folds, kind="stable"), device=self.device)
        self.span = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
        self.of_fold = [self.order[span] for span in self.span]
        self.ordered_target = self.target[self.order]
        self._ordered: dict[str, torch.Tensor] = {}
        self._products: dict[tuple[str, str, int], torch.Tensor] = {}
        self._latest: tuple[Weights, torch.Tensor | None] = ((), None)

    def held_out(
        self, weights: Weights, held: tuple[int, ...], penalties: tuple[float, ...]
    ) -> dict[int, torch.Tensor]:
        """Scores of the images in the held-out folds, by a classifier trained on the others.

        Args:
            weights: (group, weight > 0) pairs. held: folds. penalties: added to the kernel's diagonal.

        Returns:
            For each held fold (penalties, images of the fold, classes) float32.
        """
        kept = [f for f in range(self.n_folds) if f not in held]
        p = sum(self.blocks[name].shape[1] for name, _ in weights)
        solve = self._dual if p > sum(len(self.of_fold[f]) for f in kept) else self._primal
        return solve(weights, held, kept, penalties)

    def _dual(
        self, weights: Weights, held: tuple[int, ...], kept: list[int], penalties: tuple[float, ...]
    ) -> dict[int, torch.Tensor]:
        K = self._combined(weights)
        spans = [self.span[f] for f in kept]
        inner = torch.cat([torch.cat([K[a, b] for b in spans], 1) for a in spans])
        rows = inner.mean(0)
        total = rows.mean()
        centred = inner.sub_(rows[:, None]).sub_((rows - total)[None, :])
        target = torch.cat([self.ordered_target[a] for a in spans])
        prior = target.mean(0)
        coefficients = self._solve(centred, target - prior, penalties)
        out = {}
        for f in held:
            across = torch.cat([K[self.span[f], b] for b in spans], 1)
            across = across - across.mean(1, keepdim=True) - rows[None, :] + total
            out[f] = across @ coefficients + prior
        return out

    def _primal(
        self, weights: Weights, held: tuple[int, ...], kept: list[int], penalties: tuple[float, ...]
    ) -> dict[int, torch.Tensor]:
        root = torch.cat(
            [torch.full((self.blocks[b].shape[1],), w**0.5, device=self.device) for b, w in weights]
        )
        train = torch.cat([self.of_fold[f] for f in kept])
        names = [name for name, _ in weights]
        gram = torch.cat(
            [torch.cat([sum(self._product(a, b, f) for f in kept) for b in names], 1) for a in names], 0
        )
        X = torch.cat([self.blocks[name] for name in names], 1)
        mean = X[train].mean(0)
        prior = self.target[train].mean(0)
        gram = (gram - len(train) * torch.outer(mean, mean)) * torch.outer(root, root)
        right = root[:, None] * (X[train].T @ (self.target[train] - prior))
        coefficients = root[:, None] * self._solve(gram, right, penalties)
        return {f: (X[self.of_fold[f]] - mean) @ coefficients + prior for f in held}

    def _solve(self, A: torch.Tensor, right: torch.Tensor, penalties: tuple[float, ...]) -> torch.Tensor:
        """Solutions of (A + penalty I) x = right for every penalty; A's diagonal may be overwritten."""
        if len(A) <= SMALL:  # calls cost more than arithmetic
            ridges = torch.tensor(penalties, device=A.device)[:, None, None] * torch.eye(
                len(A), device=A.device
            )
            return _solve_positive(A + ridges, right.expand(len(penalties), -1, -1))
        out = []
        diagonal = A.diagonal().clone()
        for penalty in penalties:
            A.diagonal().copy_(diagonal + penalty)
            out.append(_solve_positive(A, right))
        return torch.stack(out)

    def _kernel(self, name: str) -> torch.Tensor:
        """Products between all images, in order of their folds."""
        if name not in self._ordered:
            if name not in self._kernels:
                self._kernels[name] = self.blocks[name] @ self.blocks[name].T
            self._ordered[name] = self._kernels[name][self.order][:, self.order]
        return self._ordered[name]

    def _combined(self, weights: Weights) -> torch.Tensor:
        if len(weights) == 1 and weights[0][1] == 1.0:
            return self._kernel(weights[0][0])
        if self._latest[0] != weights:
            self._latest = (weights, sum(w * self._kernel(name) for name, w in weights))
        return self._latest[1]

    def _product(self, a: str, b: str, fold: int) -> torch.Tensor:
        if (a, b, fold) not in self._products:
            if (b, a, fold) in self._products:
                return self._products[b, a, fold].T
            rows = self.of_fold[fold]
            self._products[a, b, fold] = self.blocks[a][rows].T @ self.blocks[b][rows]
        return self._products[a, b, fold]


def _solve_positive(A: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """A^-1 right by Cholesky; where rounding has made A indefinite (features all alike), its pseudo-inverse.

    Directions in which A is smaller than its rounding are left out: products with other images have nothing
    in them either. O(n^3) in float64.
    """
    factor, failed = torch.linalg.cholesky_ex(A)
    solution = torch.cholesky_solve(right, factor)
    if failed.any():
        lost = len(A[-1]) * torch.finfo(A.dtype).eps
        inverse = torch.linalg.pinv(A.double(), rtol=lost, hermitian=True)
        solution = torch.where(failed[..., None, None] > 0, (inverse @ right.double()).to(A.dtype), solution)
    return solution
