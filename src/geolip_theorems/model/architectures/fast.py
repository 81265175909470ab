"""A built-in model's round trip as the extraction runs it: without U, and on a CPU in the cache.

The arithmetic is that of the model; sums are taken in another order, so results agree to float32 rounding. On
a CPU the images go through in chunks whose activations stay in the second-level cache, with oneDNN's linear
layers, which take bias, activation and residual sum along and have their weights packed beforehand.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .base import Chain, Grid, Mlp, PatchModel, Rows, Stages, Svd
from .layers import grid_shape

CHUNK_VALUES = 1024 * 384  # of a hidden layer: 1.5 MB in float32
LEAST_ROWS = 64
FUSED_TOLERANCE = 1e-4


class Pointwise(NamedTuple):
    """How oneDNN names an activation: an operation, its constants and which algorithm."""

    name: str
    constants: tuple[float, ...] = ()
    algorithm: str = ""


# By what torch's module prints as: a module, and the same for oneDNN.
POINTWISE: dict[str, tuple[nn.Module, Pointwise]] = {
    repr(module): (module, how)
    for module, how in (
        (nn.GELU(), Pointwise("gelu", (), "none")),
        (nn.GELU("tanh"), Pointwise("gelu", (), "tanh")),
        (nn.ReLU(), Pointwise("relu")),
        (nn.ReLU6(), Pointwise("hardtanh", (0.0, 6.0))),
        (nn.LeakyReLU(), Pointwise("leaky_relu", (0.01,))),
        (nn.Hardtanh(), Pointwise("hardtanh", (-1.0, 1.0))),
        (nn.Tanh(), Pointwise("tanh")),
        (nn.Sigmoid(), Pointwise("sigmoid")),
        (nn.SiLU(), Pointwise("swish")),
        (nn.Hardswish(), Pointwise("hardswish")),
        (nn.Hardsigmoid(), Pointwise("hardsigmoid")),
        (nn.Identity(), Pointwise("none")),
    )
}


def kernels(device: torch.device) -> str:
    """What computes the linear layers of the built-in models on a device; part of the cache key."""
    return "onednn" if device.type == "cpu" and fused("Identity()") else "torch"


class FastForward:
    """Round trips of a built-in model in float32 on one device: all it gives but U of singular vectors."""

    def __init__(self, model: PatchModel) -> None:
        self.model = model
        self.rows = None  # of a chunk; None for all at once
        self.stages = model.stages()
        if kernels(next(model.parameters()).device) == "onednn":
            self.rows = max(LEAST_ROWS, CHUNK_VALUES // model.config.hidden)
            self.stages = Stages(*(packed(stage, self.rows) for stage in self.stages))

    def __call__(self, images: Tensor) -> dict[str, Any]:
        """Images (B, C, H, W); as many at once as fit a chunk, which depends on their size alone."""
        grid = grid_shape(*images.shape[-2:], self.model.patch_size)
        at_once = len(images) if self.rows is None else max(1, self.rows // (grid[0] * grid[1]))
        recon, svds = [], []
        for part in images.split(at_once):
            svds.append(self.encode(part))
            recon.append(self.decode(svds[-1], None, grid))
        svd = {key: torch.cat([svd[key] for svd in svds]) for key in svds[0]}
        return {"recon": torch.cat(recon), "svd": svd}

    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> the ``svd`` of :meth:`__call__`, all at once."""
        return self.model.encode(images, self.stages, vectors=False)

    def decode(self, svd: Svd, modes: Tensor | None, grid: Grid) -> Tensor:
        """See :meth:`.base.PatchModel.decode`."""
        return self.model.decode(svd, modes, grid, self.stages)


def packed(step: Rows | None, rows: int) -> Rows | None:
    """The same by oneDNN's layers where it is made of linear ones, ``rows`` at a time."""
    if isinstance(step, Chain):
        return Chain(packed(part, rows) for part in step)
    if isinstance(step, nn.Linear):
        run: Rows = Packed(step, rows)
    elif isinstance(step, Mlp):
        blocks = [_packed_block(*block, rows) for block in step.blocks]
        run = Chain([Packed(step.first, rows, step.activation), *blocks, Packed(step.last, rows)])
    else:
        return step
    return lambda x: run(x) if len(x) <= rows else torch.cat([run(part) for part in x.split(rows)])


def _packed_block(norm: Rows, inner: nn.Linear, activation: nn.Module, outer: nn.Linear, rows: int) -> Rows:
    first, second = Packed(inner, rows, activation), Packed(outer, rows)
    return lambda h: second.add(first(norm(h)), h)


class Packed:
    """A linear layer and an activation, with the weights in oneDNN's own order."""

    def __init__(self, layer: nn.Linear, rows: int, activation: nn.Module | None = None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        self.bias = None if layer.bias is None else layer.bias.detach()
        how = fused(repr(activation)) if activation is not None else None
        self.after = activation if how is None else None
        self.how = how or Pointwise("none")

    def __call__(self, x: Tensor) -> Tensor:
        y = _pointwise(x, self.weight, self.bias, self.how)
        return y if self.after is None else self.after(y)

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """The layer's output plus ``to``."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, to, self.weight, self.bias, "add")


def _pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, how: Pointwise) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, how.name, list(how.constants), how.algorithm)


@cache
def fused(activation: str) -> Pointwise | None:
    """What oneDNN calls an activation, if this torch fuses it; the layers are not public, so try it."""
    module, how = POINTWISE.get(activation, (None, None))
    if how is None:
        return None
    x = torch.linspace(-9, 9, 64).reshape(8, 8)
    try:
        with torch.inference_mode():
            weight = torch.ops.mkldnn._reorder_linear_weight(torch.eye(8), 8)
            y = _pointwise(x, weight, x[0], how)
            both = torch.ops.mkldnn._linear_pointwise.binary(x, y, weight, None, "add")
            wanted = module(x + x[0])
            same = torch.allclose(y, wanted, atol=FUSED_TOLERANCE)
            return how if same and torch.allclose(both, x + wanted, atol=FUSED_TOLERANCE) else None
    except (AttributeError, RuntimeError, TypeError):
        return None
