"""A built-in model's round trip as the extraction runs it: without U, and on a CPU in the cache.

The arithmetic is that of the model; sums are taken in another order, so results agree to float32
rounding. U of singular vectors is never stored: U diag(S) Vt = M V diag(S / S_orig) Vt, because
U = M V / S_orig. On a CPU the images go through in chunks whose activations stay in the second-level cache,
with oneDNN's linear layers, which take the bias, the activation and the residual sum along and have their
weights packed beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .base import PLAIN, Kit, PatchModel, Rows
from .layers import grid_shape

CHUNK_VALUES = 1024 * 384  # of a hidden layer: 1.5 MB in float32
LEAST_ROWS = 64
FUSED_TOLERANCE = 1e-4


class Pointwise(NamedTuple):
    """How oneDNN names an activation: an operation, its constants and which algorithm."""

    name: str
    constants: tuple[float, ...] = ()
    algorithm: str = ""


# By the type of torch's module. GELU has two: its own and the approximation by tanh.
POINTWISE: dict[type[nn.Module], Pointwise] = {
    nn.ReLU: Pointwise("relu"),
    nn.ReLU6: Pointwise("hardtanh", (0.0, 6.0)),
    nn.LeakyReLU: Pointwise("leaky_relu", (0.01,)),
    nn.Hardtanh: Pointwise("hardtanh", (-1.0, 1.0)),
    nn.Tanh: Pointwise("tanh"),
    nn.Sigmoid: Pointwise("sigmoid"),
    nn.SiLU: Pointwise("swish"),
    nn.Hardswish: Pointwise("hardswish"),
    nn.Hardsigmoid: Pointwise("hardsigmoid"),
    nn.Identity: Pointwise("none"),
}


def kernels(device: torch.device) -> str:
    """What computes the linear layers of the built-in models on a device; part of the cache key."""
    return "onednn" if device.type == "cpu" and _has_onednn() else "torch"


class FastForward:
    """Round trips of one model on one device.

    Args:
        model: a built-in one in float32.

    ``forward(images)`` gives what the model gives, but for U of singular vectors: ``recon`` and ``svd`` with
    S_orig, S, Vt, M.
    """

    def __init__(self, model: PatchModel) -> None:
        self.model = model
        self.rows = None  # of a chunk; None for all at once
        kit = PLAIN
        if kernels(next(model.parameters()).device) == "onednn":
            self.rows = max(LEAST_ROWS, CHUNK_VALUES // model.config.hidden)
            kit = PackedKit(self.rows)
        self.stages = model.stages(kit)

    def __call__(self, images: Tensor) -> dict[str, Any]:
        """Images (B, C, H, W); as many at once as fit a chunk, which depends on their size alone."""
        grid = grid_shape(*images.shape[-2:], self.model.patch_size)
        at_once = len(images) if self.rows is None else max(1, self.rows // (grid[0] * grid[1]))
        found = [self._round_trip(part, grid) for part in images.split(at_once)]
        return {
            "recon": torch.cat([part["recon"] for part in found]),
            "svd": {key: torch.cat([part["svd"][key] for part in found]) for key in found[0]["svd"]},
        }

    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, C, H, W) -> the ``svd`` of :meth:`__call__`, all at once."""
        return self.model.encode_by(self.stages, images, vectors=False)

    def decode(self, svd: Mapping[str, Tensor], modes: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """See :meth:`.base.PatchModel.decode`."""
        return self.model.decode_by(self.stages, svd, modes, grid)

    def _round_trip(self, images: Tensor, grid: tuple[int, int]) -> dict[str, Any]:
        svd = self.encode(images)
        return {"recon": self.decode(svd, None, grid), "svd": svd}


class PackedKit(Kit):
    """Makes stages of oneDNN's layers. ``rows`` are what a call works on; weights are packed for so many."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def linear(self, layer: nn.Linear) -> Rows:
        """See :class:`.base.Kit`."""
        return self._in_chunks(_Packed(layer, self.rows))

    def mlp(self, first: nn.Linear, activation: nn.Module, blocks: nn.ModuleList, last: nn.Linear) -> Rows:
        """See :class:`.base.Kit`."""
        begin, end = _Packed(first, self.rows, activation), _Packed(last, self.rows)
        middle = [
            (norm, _Packed(inner, self.rows, act), _Packed(outer, self.rows))
            for norm, inner, act, outer in blocks
        ]

        def run(x: Tensor) -> Tensor:
            h = begin(x)
            for norm, inner, outer in middle:
                h = outer.add(inner(norm(h)), h)
            return end(h)

        return self._in_chunks(run)

    def _in_chunks(self, run: Rows) -> Rows:
        def chunked(x: Tensor) -> Tensor:
            if len(x) <= self.rows:
                return run(x)
            return torch.cat([run(part) for part in x.split(self.rows)])

        return chunked


class _Packed:
    """A linear layer and an activation, with the weights in oneDNN's own order."""

    def __init__(self, layer: nn.Linear, rows: int, activation: nn.Module | None = None) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        self.bias = None if layer.bias is None else layer.bias.detach()
        self.fused = Pointwise("none") if activation is None else _fused(activation)
        self.after = activation if self.fused is None else None

    def __call__(self, x: Tensor) -> Tensor:
        name, constants, algorithm = self.fused or Pointwise("none")
        y = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, name, list(constants), algorithm)
        return y if self.after is None else self.after(y)

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """The layer's output plus ``to``."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, to, self.weight, self.bias, "add")


def _pointwise(activation: nn.Module) -> Pointwise | None:
    if isinstance(activation, nn.GELU):
        return Pointwise("gelu", (), activation.approximate)
    return POINTWISE.get(type(activation))


def _fused(activation: nn.Module) -> Pointwise | None:
    """What oneDNN calls the activation, if this torch fuses it; the layers are not public, so try it."""
    how = _pointwise(activation)
    if how is None:
        return None
    if how not in _tried:
        _tried[how] = _agrees(how, activation)
    return how if _tried[how] else None


def _agrees(how: Pointwise, activation: nn.Module) -> bool:
    x = torch.linspace(-9, 9, 64).reshape(8, 8)
    try:
        with torch.inference_mode():
            weight = torch.ops.mkldnn._reorder_linear_weight(torch.eye(8), 8)
            y = torch.ops.mkldnn._linear_pointwise(
                x, weight, None, how.name, list(how.constants), how.algorithm
            )
            return torch.allclose(y, activation(x), atol=FUSED_TOLERANCE)
    except (AttributeError, RuntimeError, TypeError):
        return False


def _has_onednn() -> bool:
    """Whether torch has the fused linear layers its own compiler uses; they are not public, so try them."""
    global _onednn
    if _onednn is None:
        layer = nn.Linear(8, 4)
        x = torch.linspace(-1, 1, 24).reshape(3, 8)
        try:
            with torch.inference_mode():
                packed, ones = _Packed(layer, 3), torch.ones(3, 4)
                same = torch.allclose(packed(x), layer(x), atol=FUSED_TOLERANCE)
                _onednn = same and torch.allclose(packed.add(x, ones), layer(x) + 1, atol=FUSED_TOLERANCE)
        except (AttributeError, RuntimeError, TypeError):
            _onednn = False
    return _onednn


_onednn: bool | None = None
_tried: dict[Pointwise, bool] = {}
