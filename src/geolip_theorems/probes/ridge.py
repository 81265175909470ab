"""Ridge classifiers on sums of kernels, solved for every set of held-out folds from shared products.

One penalty for all features punishes a combination for its larger part. Here a combination is a
weighted sum of the groups' kernels, K = sum_b w_b Z_b Z_b^T: the weights and the penalty together give
every group a penalty of its own (banded ridge: Nunez-Elizalde, Huth and Gallant 2019).
"""

from __future__ import annotations

import functools
import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence, Set
from ctypes import CFUNCTYPE, POINTER, PYFUNCTYPE, c_char_p, c_int, c_void_p, py_object, pythonapi

import numpy as np
import torch
from scipy.linalg import cython_lapack

SMALL = 64  # columns of a system
TARGET, ONES = "/target", "/ones"  # beside the names of features

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
        kernels: by name, of features as they were in a bank before, with other folds; more are put there.

    Cost: N^2 p, or N p^2, once a group; n^3 / 3, or p^3 / 3, a penalty and a fit on n images.
    """

    def __init__(
        self,
        blocks: Mapping[str, np.ndarray],
        labels: np.ndarray,
        folds: np.ndarray,
        device: str = "cpu",
        kernels: dict[str, torch.Tensor] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.blocks = {name: torch.as_tensor(x, device=self.device) for name, x in blocks.items()}
        self.target = torch.nn.functional.one_hot(torch.as_tensor(labels, device=self.device)).float()
        self._kernels = {} if kernels is None else kernels
        self._ordered: dict[str, torch.Tensor] = {}
        self._sums: dict[tuple[str, str], list[torch.Tensor]] = {}
        self._latest: dict[Weights, torch.Tensor] = {}
        # In order of their folds, so that what a fit reads are blocks of the kernels.
        self.n_folds = int(folds.max()) + 1
        sizes = np.bincount(folds)
        ends = np.cumsum(sizes)
        self.order = torch.as_tensor(np.argsort(folds, kind="stable"), device=self.device)
        self.span = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
        self.of_fold = [self.order[span] for span in self.span]
        self.ordered_target = self.target[self.order]

    def prepare(self, weights: Weights) -> None:
        """Make the products that fits of a weighting share, so that threads only read them.

        Those of the largest and the smallest training set: either form may be asked for. Those of the
        weighting prepared before are still there.
        """
        sizes = sorted(len(rows) for rows in self.of_fold)
        p = self._width(weights)
        if p > sum(sizes[:-2]):
            self._combined(weights)
        if p <= sum(sizes[1:]):
            for i, (a, _) in enumerate(weights):
                for b, _ in weights[i:]:
                    self._fold_sums(a, b)
                self._fold_sums(a, TARGET)
                self._fold_sums(a, ONES)

    def forget(self, names: Set[str]) -> None:
        """Give up some features and what fits of them share."""
        self.blocks = {name: block for name, block in self.blocks.items() if name not in names}
        self._sums = {key: sums for key, sums in self._sums.items() if not names & {*key}}
        self._ordered = {name: kernel for name, kernel in self._ordered.items() if name not in names}
        _give_back()

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
        dual = self._width(weights) > sum(len(self.of_fold[f]) for f in kept)
        solve = self._dual if dual else self._primal
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
        n = sum(len(self.of_fold[f]) for f in kept)

        def total(a: str, b: str) -> torch.Tensor:
            sums = self._fold_sums(a, b)
            return sum((sums[f] for f in kept[1:]), sums[kept[0]])

        roots = [w**0.5 for _, w in weights]
        names = [name for name, _ in weights]
        ends = np.cumsum([0, *(self.blocks[name].shape[1] for name in names)])
        spans = [slice(int(start), int(end)) for start, end in itertools.pairwise(ends)]
        means = [total(name, ONES)[:, 0] / n for name in names]
        prior = torch.cat([self.ordered_target[self.span[f]] for f in kept]).mean(0)
        # The factorisation reads the upper triangle alone.
        gram = _workspace("gram", (int(ends[-1]), int(ends[-1])), self.device)
        for i, a in enumerate(names):
            for j, b in enumerate(names[i:], i):
                block = total(a, b).addr(means[i], means[j], alpha=-n)
                torch.mul(block, roots[i] * roots[j], out=gram[spans[i], spans[j]])
        right = [
            root * total(name, TARGET).addr(mean, prior, alpha=-n)
            for name, mean, root in zip(names, means, roots, strict=True)
        ]
        found = self._solve(gram, torch.cat(right), penalties).split([len(mean) for mean in means], 1)
        # All penalties side by side: one product of a matrix that is not narrow.
        weights_of = [root * part.transpose(0, 1).flatten(1) for root, part in zip(roots, found, strict=True)]
        offset = sum(mean @ W for mean, W in zip(means, weights_of, strict=True))
        out = {}
        for f in held:
            blocks = (self.blocks[name][self.of_fold[f]] for name in names)
            scores = sum((X @ W for X, W in zip(blocks, weights_of, strict=True)), -offset)
            out[f] = scores.unflatten(1, (len(penalties), -1)).transpose(0, 1) + prior
        return out

    def _solve(self, A: torch.Tensor, right: torch.Tensor, penalties: tuple[float, ...]) -> torch.Tensor:
        """Solutions of (A + penalty I) x = right for every penalty; of A the upper triangle is read."""
        if len(A) <= SMALL:  # calls cost more than arithmetic
            ridges = torch.tensor(penalties, device=A.device)[:, None, None] * torch.eye(
                len(A), device=A.device
            )
            return _solve_positive(A + ridges, right.expand(len(penalties), -1, -1))
        return torch.stack([_solve_positive(A, right, penalty) for penalty in penalties])

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
        if weights not in self._latest:
            (name, weight), *others = weights
            combined = self._kernel(name) * weight
            for name, weight in others:
                combined.add_(self._kernel(name), alpha=weight)
            self._latest = dict([*self._latest.items()][-1:]) | {weights: combined}
        return self._latest[weights]

    def _fold_sums(self, a: str, b: str) -> list[torch.Tensor]:
        """Each fold's sums over images of the products of a's features with b's, the targets or 1."""
        if (a, b) not in self._sums:
            if (b, a) in self._sums:
                return [sums.T for sums in self._sums[b, a]]
            x = self.blocks[a]
            y = {TARGET: self.target, ONES: torch.ones_like(self.target[:, :1])}.get(b, self.blocks.get(b))
            self._sums[a, b] = [x[rows].T @ y[rows] for rows in self.of_fold]
        return self._sums[a, b]

    def _width(self, weights: Weights) -> int:
        return sum(self.blocks[name].shape[1] for name, _ in weights)


def _solve_positive(A: torch.Tensor, right: torch.Tensor, penalty: float = 0.0) -> torch.Tensor:
    """(A + penalty I)^-1 right by Cholesky; where a pivot is but rounding (features all alike), by the
    pseudo-inverse in float64. Of A the upper triangle is read.

    Directions in which A is smaller than its rounding are left out: products with other images have nothing
    in them either.
    """

    def matrix() -> torch.Tensor:
        found = _workspace("matrix", A.shape, A.device).copy_(A)
        found.diagonal(dim1=-2, dim2=-1).add_(penalty)
        return found

    factor = matrix()
    diagonal, lost = factor.diagonal(dim1=-2, dim2=-1).clone(), A.shape[-1] * torch.finfo(A.dtype).eps
    solution, failed = (by_lapack if A.ndim == 2 and A.device.type == "cpu" else _by_torch)(factor, right)
    failed = (failed > 0) | (factor.diagonal(dim1=-2, dim2=-1).square() < lost * diagonal).any(-1)
    if failed.any():
        lower = matrix().mT.double()  # the triangle that is read here
        inverse = torch.linalg.pinv(lower, rtol=lost, hermitian=True)
        solution = torch.where(failed[..., None, None], (inverse @ right.double()).to(A.dtype), solution)
    return solution


def _workspace(name: str, shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """A float32 tensor for a while, in memory the thread keeps: large ones made anew cost page faults."""
    size, kept = math.prod(shape), vars(_of_thread)
    if name not in kept or len(kept[name]) < size or kept[name].device != device:
        kept[name] = torch.empty(size, device=device)
    return kept[name][:size].view(shape)


_of_thread = threading.local()


def _by_torch(A: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solutions of A x = right, and where there are none. A is overwritten; its upper triangle is read."""
    factor, failed = A.mT, torch.empty(A.shape[:-2], dtype=torch.int32, device=A.device)
    torch.linalg.cholesky_ex(factor, out=(factor, failed))
    return torch.cholesky_solve(right, factor), failed


def by_lapack(A: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Solutions of A x = right, and whether there is none, by SciPy's LAPACK: two thirds of torch's time.

    Args:
        A: (n, n) float32, positive definite, on the CPU; overwritten; its upper triangle is read.
        right: (n, k) float32.
    """
    n, x = len(A), right.T.contiguous()  # both in LAPACK's order of memory, so that it copies nothing
    size, columns, failed = c_int(n), c_int(len(x)), torch.zeros((), dtype=torch.int32)
    _sposv()(b"L", size, columns, A.data_ptr(), size, x.data_ptr(), size, failed.data_ptr())
    return x.T, failed


def _give_back() -> None:
    """Let the system have freed memory, which fragments, where the C library (glibc) can."""
    if hasattr(pythonapi, "malloc_trim"):
        pythonapi.malloc_trim(0)


@functools.cache
def _sposv() -> Callable[..., None]:
    """LAPACK's, called without Python's lock, which ``scipy.linalg.lapack`` holds."""
    integer, array = POINTER(c_int), c_void_p
    capsule = cython_lapack.__pyx_capi__["sposv"]
    name = PYFUNCTYPE(c_char_p, py_object)(("PyCapsule_GetName", pythonapi))(capsule)
    address = PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", pythonapi))(capsule, name)
    return CFUNCTYPE(None, c_char_p, integer, integer, array, integer, array, integer, array)(address)
