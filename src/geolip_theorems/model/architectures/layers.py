"""What the architectures are built of: patches, activations, row norms, attention over spectra, smoothing.

The names of the parameters are those of the public checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...io.errors import InputError

MAX_ALPHA = 0.2  # the cross-attention moves a singular value by at most this share
ALPHA_LOGIT_INIT = -2.0
LEAST_SPREAD = 1e-8  # of a row, before it is divided by

# torch's functions with their default arguments; none of them has parameters, so weights fit any of them.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU, "gelu_tanh": partial(nn.GELU, approximate="tanh"), "silu": nn.SiLU, "swish": nn.SiLU,
    "mish": nn.Mish, "relu": nn.ReLU, "relu6": nn.ReLU6, "leaky_relu": nn.LeakyReLU, "elu": nn.ELU,
    "selu": nn.SELU, "celu": nn.CELU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "hardtanh": nn.Hardtanh,
    "hardsigmoid": nn.Hardsigmoid, "hardswish": nn.Hardswish, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "logsigmoid": nn.LogSigmoid, "tanhshrink": nn.Tanhshrink,
    "identity": nn.Identity,
}  # fmt: skip

# (..., V, D) -> (..., V, D), row by row; the standard deviation is the unbiased one.
ROW_NORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "sphere": lambda M: F.normalize(M, dim=-1),
    "layernorm": lambda M: (M - M.mean(-1, keepdim=True)) / M.std(-1, keepdim=True).clamp(min=LEAST_SPREAD),
    "scale": lambda M: M / M.abs().amax(-1, keepdim=True).clamp(min=LEAST_SPREAD),
    "none": lambda M: M,
}

# What fresh weights of linear layers are drawn from; None leaves torch's own.
INIT_SCHEMES: dict[str, Callable[[Tensor], object] | None] = {
    "orthogonal": None,
    "kaiming_normal": nn.init.kaiming_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
    "normal_0_02": partial(nn.init.normal_, std=0.02),
}


def extract_patches(images: Tensor, patch_size: int) -> Tensor:
    """Images (B, C, H, W) -> their gh*gw patches in row-major order, (B, gh*gw, C*ps*ps)."""
    b, c, h, w = images.shape
    gh, gw = grid_shape(h, w, patch_size)
    x = images.reshape(b, c, gh, patch_size, gw, patch_size).permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b, gh * gw, c * patch_size * patch_size)


def stitch_patches(patches: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """The inverse of :func:`extract_patches`: (B, gh*gw, C*ps*ps) -> (B, C, gh*ps, gw*ps)."""
    gh, gw = grid
    b, _, values = patches.shape
    c = values // (patch_size * patch_size)
    x = patches.reshape(b, gh, gw, c, patch_size, patch_size).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(b, c, gh * patch_size, gw * patch_size)


def grid_shape(height: int, width: int, patch_size: int) -> tuple[int, int]:
    """Patches down and across an image. Raises InputError: a side is no positive multiple of the patch's."""
    if height % patch_size or width % patch_size or not height or not width:
        raise InputError(
            f"image size {height}x{width} is not a multiple of the model's patch size {patch_size}; "
            f"choose --image-size as a multiple of {patch_size}"
        )
    return height // patch_size, width // patch_size


class SpectralCrossAttention(nn.Module):
    """Attention over the patches' spectra, (B, N, D): S <- S * (1 + alpha * tanh(attention(S)))."""

    def __init__(self, D: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(D, 3 * D)
        self.out_proj = nn.Linear(D, D)
        self.norm = nn.LayerNorm(D)
        self.alpha_logits = nn.Parameter(torch.full((D,), ALPHA_LOGIT_INIT))

    def forward(self, S: Tensor) -> Tensor:
        b, n, d = S.shape
        heads = self.qkv(self.norm(S)).reshape(b, n, 3, self.n_heads, d // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        alpha = MAX_ALPHA * torch.sigmoid(self.alpha_logits)
        return S * (1.0 + alpha * torch.tanh(self.out_proj(mixed)))


def cross_attention(D: int, n_heads: int, layers: int) -> nn.Sequential:
    """Layers of attention, one after the other."""
    return nn.Sequential(*(SpectralCrossAttention(D, n_heads) for _ in range(layers)))


class BoundarySmooth(nn.Module):
    """A small residual convolution over the stitched image (B, C, H, W), the identity before training."""

    def __init__(self, mid: int, channels: int, activation: str) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, mid, 3, padding=1),
            ACTIVATIONS[activation](),
            nn.Conv2d(mid, channels, 3, padding=1),
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.net(x)


def residual_blocks(hidden: int, depth: int, activation: str) -> nn.ModuleList:
    """``depth`` blocks of LayerNorm, Linear, activation, Linear, all of them ``hidden`` wide."""
    return nn.ModuleList(
        nn.Sequential(
            nn.LayerNorm(hidden),
            nn.Linear(hidden, hidden),
            ACTIVATIONS[activation](),
            nn.Linear(hidden, hidden),
        )
        for _ in range(depth)
    )
