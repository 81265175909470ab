"""The maps: what one pass of a model over an image set leaves for every measure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace

import numpy as np

ABLATED = ("error_only", "error_without", "ablated")  # arrays with a row an ablated image
ALWAYS = ("error", "pixel_var", "error_half", "input_mean", "input_var", "gradient")  # of every model
SIGNALS = ("S", "friction", "settle", "error_only", "error_without")  # which a model may not have


@dataclass(frozen=True)
class Maps:
    """Per-image maps on the grid of patches, float32 unless said otherwise.

    N images, gh x gw patches, D modes, A <= N images with ablations.

    Attributes:
        error: (N, gh, gw) release error, the mean squared error of a patch.
        pixel_var: (N, gh, gw) population variance, over a patch's pixels, of the squared error averaged
            over the channels. Channels of a pixel err together, so a pixel is the unit, not a value.
        error_half: (N, gh, gw, 2) release error over each half of a patch's pixels, in a checkerboard of
            rows and columns. A patch of one pixel has no halves: both hold its error.
        S: (N, gh, gw, D) what the decoder weighs the modes with, in the model's own order: coordinated
            singular values, or column norms, in no order; None for a model without modes.
        friction, settle: (N, gh, gw, D) of the Gram matrix, in ascending order of its eigenvalues; None
            where the conduit has no such matrix to solve.
        error_only, error_without: (A, gh, gw, D) release error of the ablated images when the decoder is
            given only mode k, and all modes but k; None where no decoder was run apart.
        ablated: (A,) int64, which images those are, ascending; None with them.
        input_mean: (N, gh, gw, C) mean of the input's patch per channel.
        input_var: (N, gh, gw) population variance of the input's values in a patch.
        gradient: (N, gh, gw) mean over a patch of the magnitude of the brightness's gradient, per pixel.
        boundary: (N, gh, gw) share of a patch inside the true boundary band, or None where unknown.
        labels, groups: (N,) int64, or None.
        classes: the class names, or None.
        patch_pixels: patch size squared.
        absent: why a signal is missing, by the map's name, one of ``SIGNALS``.
    """

    error: np.ndarray
    pixel_var: np.ndarray
    error_half: np.ndarray
    S: np.ndarray | None
    friction: np.ndarray | None
    settle: np.ndarray | None
    error_only: np.ndarray | None
    error_without: np.ndarray | None
    ablated: np.ndarray | None
    input_mean: np.ndarray
    input_var: np.ndarray
    gradient: np.ndarray
    boundary: np.ndarray | None = None
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None
    classes: tuple[str, ...] | None = None
    patch_pixels: int = 0
    absent: Mapping[str, str] = field(default_factory=dict)

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

    def take(self, images: np.ndarray, ablated: np.ndarray | None = None) -> Maps:
        """The maps of some images, (M,) indices in ascending order, in memory.

        Ablations stay with the images they belong to: with all of them, or with those at positions
        ``ablated`` among these, ascending.
        """
        parts = {name: array[images] for name, array in self.arrays().items() if name not in ABLATED}
        if self.ablated is not None:
            kept = images if ablated is None else images[ablated]
            rows = np.flatnonzero(np.isin(self.ablated, kept))
            parts |= {"error_only": self.error_only[rows], "error_without": self.error_without[rows]}
            parts["ablated"] = np.searchsorted(images, self.ablated[rows])
        return replace(self, **parts)
