"""Reconstructors beside which a trained model is measured: what takes no training, or next to none."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from .architectures import PatchModel, extract_patches
from .architectures.base import Mlp
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


@torch.inference_mode()
def with_fitted_last_layer(model: PatchModel, images: Tensor) -> PatchModel | None:
    """A copy of a built-in model whose decoder's last layer is fitted to images by least squares.

    The model is on the CPU and its weights fresh, so that its boundary smoothing is the identity; ``images``
    are (N, C, H, W) float32. None where the decoder does not end in a linear layer.
    """
    fitted = copy.deepcopy(model)
    decoder = fitted.stages().decoder
    layer = decoder.last if isinstance(decoder, Mlp) else decoder
    if not isinstance(layer, nn.Linear):
        return None
    seen: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
    width = layer.in_features + 1
    gram = torch.zeros(width, width, dtype=torch.float64)
    moment = torch.zeros(width, layer.out_features, dtype=torch.float64)
    with one_thread():
        for part in images.split(BATCH):
            fitted(part)
            patches = extract_patches(part, model.patch_size).flatten(0, 1)
            features = seen.pop().reshape(len(patches), -1)
            features = torch.cat([features, torch.ones(len(features), 1)], 1)
            gram += (features.T @ features).double()
            moment += (features.T @ patches).double()
    hook.remove()
    gram.diagonal()[:-1].add_(RIDGE * gram.diagonal()[:-1].mean())
    solution = torch.linalg.solve(gram, moment).float()
    layer.weight.copy_(solution[:-1].T)
    if layer.bias is not None:
        layer.bias.copy_(solution[-1])
    return fitted
