"""The built-in model's round trip as the extraction runs it: without U, and on a CPU in the cache.

The arithmetic is that of :class:`PatchSVAE`; sums are taken in another order, so results agree to float32
rounding. U is never stored: U diag(S) Vt = M V diag(S / S_orig) Vt, because U = M V / S_orig. On a CPU the
images go through in chunks whose activations stay in the second-level cache, with oneDNN's linear layers,
which take the bias, GELU and the residual sum along and have their weights packed beforehand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.config import SVAEConfig
from ..model.patch_svae import (
    SINGULAR_VALUE_FLOOR,
    PatchSVAE,
    extract_patches,
    gram_eigh,
    grid_shape,
    residual_mlp,
    stitch_patches,
)

CHUNK_VALUES = 1024 * 384  # of a hidden layer: 1.5 MB in float32
LEAST_ROWS = 64

MLP = Callable[[Tensor], Tensor]


def kernels(device: torch.device) -> str:
    """What computes the linear layers of the built-in model on a device; part of the cache key."""
    return "onednn" if device.type == "cpu" and _has_onednn() else "torch"


def runs_here(model: nn.Module) -> bool:
    """Whether a model is the built-in one in float32, with no part of it exchanged, replaced or hooked."""
    if type(model) is not PatchSVAE or any(p.dtype != torch.float32 for p in model.parameters()):
        return False
    return all(map(_as_its_class, model.modules())) and repr(model) == _as_built(model.config)


def _as_its_class(module: nn.Module) -> bool:
    """Whether a module has neither methods of its own nor hooks."""
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    return not any(callable(getattr(type(module), name, None)) for name in vars(module))


@lru_cache
def _as_built(config: SVAEConfig) -> str:
    """The parts of a model of these sizes, as text."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return repr(PatchSVAE(config))


class Forward:
    """Round trips of one model on one device.

    Args:
        model: a :class:`PatchSVAE`, see :func:`runs_here`.

    ``forward(images)`` gives what the model gives, but for U: ``recon`` and ``svd`` with S_orig, S, Vt, M.
    """

    def __init__(self, model: PatchSVAE) -> None:
        self.model = model
        device = model.enc_in.weight.device
        parts = [
            (model.enc_in, model.enc_blocks, model.enc_out),
            (model.dec_in, model.dec_blocks, model.dec_out),
        ]
        self.rows = None  # of a chunk; None for all at once
        if kernels(device) == "onednn":
            self.rows = max(LEAST_ROWS, CHUNK_VALUES // model.config.hidden)
            self.encoder, self.decoder = (PackedMLP(*part, self.rows) for part in parts)
        else:
            self.encoder, self.decoder = (_plain(*part) for part in parts)

    def __call__(self, images: Tensor) -> dict[str, Any]:
        """Images (B, 3, H, W); as many at once as fit a chunk, which depends on their size alone."""
        grid = grid_shape(*images.shape[-2:], self.model.patch_size)
        at_once = len(images) if self.rows is None else max(1, self.rows // (grid[0] * grid[1]))
        found = [self._round_trip(part, grid) for part in images.split(at_once)]
        return {
            "recon": torch.cat([part["recon"] for part in found]),
            "svd": {key: torch.cat([part["svd"][key] for part in found]) for key in found[0]["svd"]},
        }

    def encode_matrix(self, patches: Tensor) -> Tensor:
        """:meth:`PatchSVAE.encode_matrix`."""
        V, D = self.model.config.V, self.model.config.D
        rows = self.encoder(patches.flatten(0, 1))
        return F.normalize(rows.reshape(*patches.shape[:2], V, D), dim=-1)

    def decode(self, svd: dict[str, Tensor], modes: Tensor | None, grid: tuple[int, int]) -> Tensor:
        """The image (B, 3, H, W) of the modes that are 1 in ``modes`` (D,); None for all."""
        share = svd["S"] / svd["S_orig"].clamp(min=SINGULAR_VALUE_FLOOR)
        if modes is not None:
            share = share * modes
        M = svd["M"] @ (svd["Vt"].mT @ (share.unsqueeze(-1) * svd["Vt"]))
        patches = self.decoder(M.flatten(-2).flatten(0, 1)).unflatten(0, M.shape[:2])
        return self.model.boundary_smooth(stitch_patches(patches, grid, self.model.patch_size))

    def _round_trip(self, images: Tensor, grid: tuple[int, int]) -> dict[str, Any]:
        M = self.encode_matrix(extract_patches(images, self.model.patch_size))
        S, Vt = gram_eigh(M)
        S, Vt = S.to(M.dtype), Vt.to(M.dtype)
        svd = {"S_orig": S, "S": self.model.coordinate(S), "Vt": Vt, "M": M}
        return {"recon": self.decode(svd, None, grid), "svd": svd}


class PackedMLP:
    """A residual MLP on a CPU, with oneDNN.

    Args:
        first, blocks, last: of the model, see ``residual_mlp``.
        rows: rows a call works on; the weights are packed for so many.
    """

    def __init__(self, first: nn.Linear, blocks: nn.ModuleList, last: nn.Linear, rows: int) -> None:
        self.rows = rows
        self.first = _Packed(first, rows)
        self.blocks = [(block[0], _Packed(block[1], rows), _Packed(block[3], rows)) for block in blocks]
        self.last = _Packed(last, rows)

    def __call__(self, x: Tensor) -> Tensor:
        """(R, in) -> (R, out)."""
        if len(x) <= self.rows:
            return self._chunk(x)
        return torch.cat([self._chunk(part) for part in x.split(self.rows)])

    def _chunk(self, x: Tensor) -> Tensor:
        h = self.first(x, "gelu")
        for norm, inner, outer in self.blocks:
            h = outer.add(inner(norm(h), "gelu"), h)
        return self.last(h, "none")


class _Packed:
    """A linear layer with its weights in oneDNN's own order."""

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), rows)
        self.bias = None if layer.bias is None else layer.bias.detach()

    def __call__(self, x: Tensor, after: str) -> Tensor:
        how = "none" if after == "gelu" else ""  # GELU's own, not its tanh approximation
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, after, [], how)

    def add(self, x: Tensor, to: Tensor) -> Tensor:
        """The layer's output plus ``to``."""
        return torch.ops.mkldnn._linear_pointwise.binary(x, to, self.weight, self.bias, "add")


def _plain(first: nn.Linear, blocks: nn.ModuleList, last: nn.Linear) -> MLP:
    return lambda x: residual_mlp(first, blocks, last, x)


def _has_onednn() -> bool:
    """Whether torch has the fused linear layers its own compiler uses; they are not public, so try them."""
    global _onednn
    if _onednn is None:
        layer = nn.Linear(8, 4)
        x = torch.linspace(-1, 1, 24).reshape(3, 8)
        try:
            with torch.inference_mode():
                packed = _Packed(layer, 3)
                ones = torch.ones(3, 4)
                same = torch.allclose(packed(x, "gelu"), F.gelu(layer(x)), atol=1e-4)
                _onednn = same and torch.allclose(packed.add(x, ones), layer(x) + 1, atol=1e-4)
        except (AttributeError, RuntimeError, TypeError):
            _onednn = False
    return _onednn


_onednn: bool | None = None
