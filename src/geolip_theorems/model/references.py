"""Reconstructors beside which a trained model is measured: what takes no training, or next to none."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .architectures import PatchModel, extract_patches
from .architectures.base import Kit, Rows
from .threads import one_thread

BATCH = 8  # images
RIDGE = 1e-6  # of a feature's mean square: features that repeat each other have no least squares without


class ZeroOutput(nn.Module):
    """Gives ``{"recon": zeros (B, C, H, W)}``: the error is the image itself."""

    def __init__(self, patch_size: int, channels: int) -> None:
        super().__init__()
        self.patch_size, self.channels = patch_size, channels

    def forward(self, images: Tensor) -> dict[str, Any]:
        return {"recon": torch.zeros_like(images)}


class _Last(Kit):
    """Remembers the last linear layer of the stage made last, which is the decoder."""

    layer: nn.Linear | None = None

    def linear(self, layer: nn.Linear) -> Rows:
        self.layer = layer
        return super().linear(layer)

    def mlp(self, *parts: Any) -> Rows:
        self.layer = parts[-1]
        return super().mlp(*parts)


@torch.inference_mode()
def with_fitted_last_layer(model: PatchModel, images: Tensor) -> PatchModel | None:
    """A copy of a model whose decoder's last layer is fitted to images by least squares, and nothing else.

    Args:
        model: a built-in model with fresh weights, on the CPU; its boundary smoothing is the identity then.
        images: (N, C, H, W) float32 to fit on.

    Returns:
        None where the decoder does not end in a linear layer.

    Cost: one pass over the images; one system of hidden + 1 unknowns.
    """
    fitted = copy.deepcopy(model)
    kit = _Last()
    fitted.stages(kit)
    if kit.layer is None:
        return None
    seen: list[tuple[Tensor, Tensor]] = []
    hook = kit.layer.register_forward_hook(lambda layer, x, y: seen.append((x[0], y)))
    width = kit.layer.in_features + 1
    gram = torch.zeros(width, width, dtype=torch.float64)
    moment = torch.zeros(width, kit.layer.out_features, dtype=torch.float64)
    try:
        with one_thread():
            for part in images.split(BATCH):
                seen.clear()
                out = extract_patches(fitted(part)["recon"], model.patch_size).flatten(0, 1)
                patches = extract_patches(part, model.patch_size).flatten(0, 1)
                ((features, last),) = seen
                if last.numel() != out.numel() or not torch.equal(last.reshape(out.shape), out):
                    return None  # what the stage ends in is not what the image is made of
                features = features.reshape(len(patches), -1)
                features = torch.cat([features, torch.ones(len(features), 1)], 1)
                gram += (features.T @ features).double()
                moment += (features.T @ patches).double()
    finally:
        hook.remove()
    gram.diagonal()[:-1].add_(RIDGE * gram.diagonal()[:-1].mean())
    solution = torch.linalg.solve(gram, moment).float()
    kit.layer.weight.copy_(solution[:-1].T)
    if kit.layer.bias is not None:
        kit.layer.bias.copy_(solution[-1])
    return fitted
