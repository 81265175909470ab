"""The round trip that the architectures share, and what each of them adds to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...io.errors import InputError
from .configs import Config
from .layers import ROW_NORMS, extract_patches, grid_shape, stitch_patches

Rows = Callable[[Tensor], Tensor]  # (R, in) -> (R, out), row by row
Svd = Mapping[str, Tensor]  # what models give under this name
Grid = tuple[int, int]  # patches down and across an image
SINGULAR_VALUES = "singular values"
COLUMN_NORMS = "column norms"


class Mlp(NamedTuple):
    """A linear layer, an activation, residual blocks, a linear layer."""

    first: nn.Linear
    activation: nn.Module
    blocks: nn.ModuleList
    last: nn.Linear

    def __call__(self, x: Tensor) -> Tensor:
        h = self.activation(self.first(x))
        for block in self.blocks:
            h = h + block(h)
        return self.last(h)


class Chain(tuple[Rows, ...]):
    """Functions of rows, one after the other."""

    def __call__(self, x: Tensor) -> Tensor:
        for step in self:
            x = step(x)
        return x


class Stages(NamedTuple):
    """What works on one patch at a time: the bulk of the arithmetic, which :mod:`.fast` does in its own way.

    ``encoder`` goes from patches (R, C*ps*ps) to matrices' values (R, V*D) before the row norm, ``readout``,
    where there is one, from (R, V*D) to (R, V*D), ``decoder`` from (R, V*D) to patches. Each is a linear
    layer, a :class:`Mlp`, another function, or a :class:`Chain` of these.
    """

    encoder: Rows
    readout: Rows | None
    decoder: Rows


class PatchModel(nn.Module, ABC):
    """A built-in model: patches -> matrix per patch -> spectrum -> matrix -> patches.

    ``model(images)`` gives ``{"recon": (B, C, H, W), "svd": {"U": (B, N, V, D), "S_orig": (B, N, D),
    "S": (B, N, D), "Vt": (B, N, D, D), "M": (B, N, V, D)}}`` where S is S_orig after cross-attention and
    ``spectrum`` says what it is: ``singular values``, or ``column norms``, which are in no order. Where
    ``stages`` are None they are the model's own.
    """

    config: Config
    spectrum: str
    cross_attn: nn.Module  # of spectra (B, N, D)
    boundary_smooth: nn.Module

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.patch_size = config.patch_size
        self.channels = config.channels

    @abstractmethod
    def stages(self) -> Stages:
        """The model's layers."""

    @abstractmethod
    def decompose(self, M: Tensor, stages: Stages, vectors: bool) -> dict[str, Tensor]:
        """S_orig, Vt and M, and U where ``vectors`` asks for it or the decoder cannot do without."""

    @abstractmethod
    def put_together(self, svd: Svd, modes: Tensor | None) -> Tensor:
        """The matrices (B, N, V, D) that the decoder gets; ``modes`` as in :meth:`decode`."""

    def matrices(self, patches: Tensor, stages: Stages | None = None) -> Tensor:
        """Patches (B, N, C*ps*ps) -> M (B, N, V, D), rows normed as the config says."""
        values = (stages or self.stages()).encoder(patches.flatten(0, 1))
        rows = values.reshape(*patches.shape[:2], self.config.V, self.config.D)
        return ROW_NORMS[self.config.row_norm](rows)

    def encode(self, images: Tensor, stages: Stages | None = None, vectors: bool = True) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> ``svd``. Raises InputError: C is not the model's."""
        if images.shape[1] != self.channels:
            raise InputError(f"the images have {images.shape[1]} channels; the model expects {self.channels}")
        stages = stages or self.stages()
        M = self.matrices(extract_patches(images, self.patch_size), stages)
        svd = self.decompose(M, stages, vectors)
        return {**svd, "S": self.cross_attn(svd["S_orig"])}

    def decode(self, svd: Svd, modes: Tensor | None, grid: Grid, stages: Stages | None = None) -> Tensor:
        """The image (B, C, gh*ps, gw*ps) of an ``svd``, modes times ``modes``: (D,), (B, 1, D) or None."""
        return self.image_of(self.put_together(svd, modes), grid, stages)

    def image_of(self, M: Tensor, grid: Grid, stages: Stages | None = None) -> Tensor:
        """The image (B, C, gh*ps, gw*ps) of matrices (B, N, V, D) that are already put together."""
        rows = (stages or self.stages()).decoder(M.flatten(-2).flatten(0, 1))
        patches = rows.unflatten(0, M.shape[:2])
        return self.boundary_smooth(stitch_patches(patches, grid, self.patch_size))

    def forward(self, images: Tensor) -> dict[str, Any]:
        grid = grid_shape(*images.shape[-2:], self.patch_size)
        svd = self.encode(images)
        return {"recon": self.decode(svd, None, grid), "svd": svd}


def column_norms(M: Tensor) -> tuple[Tensor, Tensor]:
    """S (B, N, D), the columns' lengths of matrices (B, N, V, D), and the identity for Vt (B, N, D, D)."""
    eye = torch.eye(M.shape[-1], dtype=M.dtype, device=M.device)
    return M.norm(dim=-2), eye.expand(*M.shape[:2], -1, -1)
