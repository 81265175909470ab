"""How well a model reconstructs each noise family, and what its spectra look like."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.noise import ALL_FAMILIES, FAMILIES, sample
from ..model.architectures import PatchSVAE


def effective_rank(S: Tensor) -> Tensor:
    """exp of the entropy of the singular values taken as shares of their sum: (..., D) -> (...)."""
    share = (S / S.sum(-1, keepdim=True)).clamp(min=1e-12)
    return torch.exp(-(share * share.log()).sum(-1))


@torch.inference_mode()
def evaluate(model: PatchSVAE, *, seed: int, images_per_family: int = 64, image_size: int = 64) -> dict:
    """Mean squared error a family, and the spectrum, on fresh noise.

    Args:
        model: in evaluation mode.
        seed: of the noise.
        images_per_family: sample size of each family's figure.
        image_size: side in pixels.

    Returns:
        ``mse_per_family`` {family: MSE}, ``mean_mse`` over the 16 original families,
        ``effective_rank`` and ``s0_over_last`` (mean first over mean last singular value, after
        cross-attention) over the 16 families, ``images_per_family``, ``image_size``, ``seed``.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    mse, spectra = {}, []
    for family in ALL_FAMILIES:
        images = sample(family, images_per_family, image_size, generator)
        errors = []
        for batch in images.split(16):
            out = model(batch.to(device))
            errors.append(F.mse_loss(out["recon"].cpu(), batch, reduction="none").flatten(1).mean(1))
            if family in FAMILIES:
                spectra.append(out["svd"]["S"].cpu().flatten(0, 1))
        mse[family] = torch.cat(errors).mean().item()
    S = torch.cat(spectra)
    mean = S.mean(0)
    return {
        "mse_per_family": mse,
        "mean_mse": sum(mse[family] for family in FAMILIES) / len(FAMILIES),
        "effective_rank": effective_rank(S).mean().item(),
        "s0_over_last": (mean[0] / mean[-1]).item(),
        "images_per_family": images_per_family,
        "image_size": image_size,
        "seed": seed,
    }
