"""The maps: what one pass of a model over an image set leaves for every measure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np


@dataclass(frozen=True)
class Maps:
    """Per-image maps on the grid of patches, float32 unless said otherwise.

    N images, gh x gw patches, D modes, A <= N images with ablations.

    Attributes:
        error: (N, gh, gw) release error, the mean squared error of a patch.
        error_var: (N, gh, gw) population variance of the squared error inside a patch.
        error_half: (N, gh, gw, 2) release error over each half of a patch's values, in a checkerboard.
        S: (N, gh, gw, D) coordinated singular values, descending.
        friction, settle: (N, gh, gw, D) of the Gram matrix, in ascending order of its eigenvalues.
        error_only, error_without: (A, gh, gw, D) release error when the decoder is given only mode k, and
            all modes but k; None for a model whose decoder cannot be run apart.
        input_mean: (N, gh, gw, 3) mean of the input's patch per colour channel.
        input_var: (N, gh, gw) population variance of the input's values in a patch.
        gradient: (N, gh, gw) mean over a patch of the magnitude of the luminance's gradient, per pixel.
        boundary: (N, gh, gw) share of a patch inside the true boundary band, or None where unknown.
        labels, groups: (N,) int64, or None.
        classes: the class names, or None.
    """

    error: np.ndarray
    error_var: np.ndarray
    error_half: np.ndarray
    S: np.ndarray
    friction: np.ndarray
    settle: np.ndarray
    error_only: np.ndarray | None
    error_without: np.ndarray | None
    input_mean: np.ndarray
    input_var: np.ndarray
    gradient: np.ndarray
    boundary: np.ndarray | None = None
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    patch_values: int = 0

    def __len__(self) -> int:
        return len(self.error)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches down and across."""
        return self.error.shape[1:3]

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array that is there, by name, in a fixed order."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    def prefix(self, n: int) -> Maps:
        """The maps of the first n images."""
        first = {name: array[:n] for name, array in self.arrays().items()}
        return replace(self, **first)

    def energy(self) -> np.ndarray:
        """(N, gh, gw, D) each mode's share of a patch's energy, S_k^2 / (sum_k S_k^2 + 1e-10)."""
        squared = self.S.astype(np.float32) ** 2
        return squared / (squared.sum(-1, keepdims=True) + np.float32(1e-10))

    def class_sums(self) -> tuple[np.ndarray, np.ndarray]:
        """(C, gh, gw) float64 sums of the error maps and (C,) counts over each class's images."""
        count = len(self.classes)
        sums = np.zeros((count, *self.grid))
        np.add.at(sums, self.labels, self.error.astype(np.float64))
        return sums, np.bincount(self.labels, minlength=count)
