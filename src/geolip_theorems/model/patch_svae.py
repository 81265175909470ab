"""PatchSVAE version 1: patches -> residual MLP -> row-normalised matrix -> SVD -> residual MLP -> patches.

The architecture and the names of its parameters are those of the public checkpoints, so that a state
dict of either side loads in the other. Matrices: ``M`` (V, D) a patch's encoding with unit rows,
``U`` (V, D), ``S`` (D,) descending, ``Vt`` (D, D).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..conduit import conduit
from ..errors import InputError
from .config import SVAEConfig

MAX_ALPHA = 0.2  # the cross-attention moves a singular value by at most this share
ALPHA_LOGIT_INIT = -2.0
GRAM_JITTER = 1e-12
CONDUIT_LARGEST = 12  # modes
EIGENVALUE_FLOOR = 1e-24
SINGULAR_VALUE_FLOOR = 1e-16


def extract_patches(images: Tensor, patch_size: int) -> Tensor:
    """Cut images into non-overlapping patches.

    Args:
        images: (B, C, H, W), H and W multiples of ``patch_size``.
        patch_size: side of a square patch in pixels.

    Returns:
        (B, N, C*ps*ps) with N = gh*gw patches in row-major order, each flattened channel, row, column.

    Raises:
        InputError: a side is not a multiple of the patch size.
    """
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
    """Patches down and across an image of the given size in pixels.

    Raises:
        InputError: a side is not a positive multiple of the patch size.
    """
    if height % patch_size or width % patch_size or not height or not width:
        raise InputError(
            f"image size {height}x{width} is not a multiple of the model's patch size {patch_size}; "
            f"choose --image-size as a multiple of {patch_size}"
        )
    return height // patch_size, width // patch_size


def gram_svd(M: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Thin SVD of tall matrices through the eigenpairs of M^T M, formed in float64.

    On a GPU with D up to 12 the eigenpairs are the conduit's, as in the public original; elsewhere LAPACK's.

    Args:
        M: (..., V, D).

    Returns:
        U (..., V, D), S (..., D) descending, Vt (..., D, D), in M's dtype. Signs are the eigensolver's.
    """
    s, vt = gram_eigh(M)
    u = (M.double() @ vt.mT) / s.unsqueeze(-2).clamp(min=SINGULAR_VALUE_FLOOR)
    return u.to(M.dtype), s.to(M.dtype), vt.contiguous().to(M.dtype)


def gram_eigh(M: Tensor) -> tuple[Tensor, Tensor]:
    """The S (..., D) descending and Vt (..., D, D) of :func:`gram_svd`, in float64."""
    m = M.double()
    gram = m.mT @ m
    if _wants_conduit(M):
        eigenvalues, v = (pair.double() for pair in conduit(gram.float()).eigenpairs())
    else:
        gram.diagonal(dim1=-2, dim2=-1).add_(GRAM_JITTER)
        eigenvalues, v = torch.linalg.eigh(gram)
    return eigenvalues.flip(-1).clamp(min=EIGENVALUE_FLOOR).sqrt(), v.flip(-1).mT


def _wants_conduit(M: Tensor) -> bool:
    """Whether the eigenpairs come from the conduit: thousands of tiny problems are slow in cuSOLVER."""
    return M.is_cuda and 2 <= M.shape[-1] <= CONDUIT_LARGEST and not M.requires_grad


class SpectralCrossAttention(nn.Module):
    """Attention over the patches' singular values: S <- S * (1 + alpha * tanh(attention(S)))."""

    def __init__(self, D: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Linear(D, 3 * D)
        self.out_proj = nn.Linear(D, D)
        self.norm = nn.LayerNorm(D)
        self.alpha_logits = nn.Parameter(torch.full((D,), ALPHA_LOGIT_INIT))

    def forward(self, S: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        b, n, d = S.shape
        q, k, v = (
            self.qkv(self.norm(S)).reshape(b, n, 3, self.n_heads, d // self.n_heads).permute(2, 0, 3, 1, 4)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)
        alpha = MAX_ALPHA * torch.sigmoid(self.alpha_logits)
        return S * (1.0 + alpha * torch.tanh(self.out_proj(mixed)))


class BoundarySmooth(nn.Module):
    """A small residual convolution over the stitched image, the identity before training."""

    def __init__(self, mid: int, channels: int = 3) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(channels, mid, 3, padding=1), nn.GELU(), nn.Conv2d(mid, channels, 3, padding=1)
        )
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.net(x)


def _residual_blocks(hidden: int, depth: int) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, hidden))
        for _ in range(depth)
    )


def residual_mlp(first: nn.Linear, blocks: nn.ModuleList, last: nn.Linear, x: Tensor) -> Tensor:
    """(..., in) -> (..., out): a linear layer, GELU, residual blocks, a linear layer."""
    h = F.gelu(first(x))
    for block in blocks:
        h = h + block(h)
    return last(h)


class PatchSVAE(nn.Module):
    """The patch-SVD autoencoder of the Freckles and Fresnel checkpoints.

    ``model(images)`` gives ``{"recon": (B, 3, H, W), "svd": {"U": (B, N, V, D), "S_orig": (B, N, D),
    "S": (B, N, D), "Vt": (B, N, D, D), "M": (B, N, V, D)}}`` where S is S_orig after cross-attention.
    """

    def __init__(self, config: SVAEConfig | None = None, **overrides) -> None:
        super().__init__()
        self.config = config = SVAEConfig(**overrides) if config is None else config
        self.patch_size = config.patch_size
        patch_dim = 3 * config.patch_size**2
        self.enc_in = nn.Linear(patch_dim, config.hidden)
        self.enc_blocks = _residual_blocks(config.hidden, config.depth)
        self.enc_out = nn.Linear(config.hidden, config.V * config.D)
        nn.init.orthogonal_(self.enc_out.weight)
        self.dec_in = nn.Linear(config.V * config.D, config.hidden)
        self.dec_blocks = _residual_blocks(config.hidden, config.depth)
        self.dec_out = nn.Linear(config.hidden, patch_dim)
        self.cross_attn = nn.ModuleList(
            SpectralCrossAttention(config.D, config.n_heads) for _ in range(config.n_cross_layers)
        )
        self.boundary_smooth = BoundarySmooth(config.smooth_mid)

    def encode_matrix(self, patches: Tensor) -> Tensor:
        """Patches (B, N, 3*ps*ps) -> M (B, N, V, D) with rows of length 1."""
        rows = residual_mlp(self.enc_in, self.enc_blocks, self.enc_out, patches)
        return F.normalize(rows.reshape(*patches.shape[:2], self.config.V, self.config.D), dim=-1)

    def coordinate(self, S: Tensor) -> Tensor:
        """Singular values after the spectral cross-attention, (B, N, D) -> (B, N, D)."""
        for layer in self.cross_attn:
            S = layer(S)
        return S

    def encode(self, images: Tensor) -> dict[str, Tensor]:
        """Images (B, 3, H, W) -> the ``svd`` part of :meth:`forward`."""
        M = self.encode_matrix(extract_patches(images, self.patch_size))
        U, S, Vt = gram_svd(M)
        return {"U": U, "S_orig": S, "S": self.coordinate(S), "Vt": Vt, "M": M}

    def decode(self, U: Tensor, S: Tensor, Vt: Tensor, grid: tuple[int, int]) -> Tensor:
        """The image (B, 3, gh*ps, gw*ps) of the modes U (B, N, V, D), S (B, N, D), Vt (B, N, D, D)."""
        return self.decode_matrix((U * S.unsqueeze(-2)) @ Vt, grid)

    def decode_matrix(self, M: Tensor, grid: tuple[int, int]) -> Tensor:
        """The image (B, 3, gh*ps, gw*ps) of matrices (B, N, V, D) that are already put together."""
        patches = residual_mlp(self.dec_in, self.dec_blocks, self.dec_out, M.flatten(-2))
        return self.boundary_smooth(stitch_patches(patches, grid, self.patch_size))

    def forward(self, images: Tensor) -> dict:
        """The full round trip, see the class."""
        svd = self.encode(images)
        grid = grid_shape(*images.shape[-2:], self.patch_size)
        return {"recon": self.decode(svd["U"], svd["S"], svd["Vt"], grid), "svd": svd}
