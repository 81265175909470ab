"""AlephModel: a PatchSVAE's encoder, rows put on the axes of a codebook, and one of three decoders.

The architecture and the names of its parameters are those of the public checkpoints. ``U`` are the
addressed rows (V, D), ``S`` the lengths of their columns, ``Vt`` the identity. Only the ``mlp`` decoder reads
S; for the others, taking a mode away is to take its column of U away.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .base import COLUMN_NORMS, Chain, Mlp, PatchModel, Stages, Svd, column_norms
from .configs import MOST_LAYERS, AutoencoderConfig, choice, number, positive
from .layers import ACTIVATIONS, BoundarySmooth, cross_attention, residual_blocks

ADDRESS_VALUES = 1 << 18  # of a softmax at once: 1 MB in float32
FIBONACCI_PSI = 1.533751168755204288118041


@dataclass(frozen=True)
class AlephConfig(AutoencoderConfig):
    """What an AlephModel's function depends on. The defaults are those of the public package.

    Attributes:
        address: ``soft`` or ``hard`` assignment of rows to ``K`` axes and their negatives, or ``none``.
        address_tau: temperature of the soft assignment.
        decode_mode: ``tied`` (a linear map), ``dict`` (``n_atoms`` atoms mixed by a softmax of temperature
            ``code_tau``) or ``mlp`` (a PatchSVAE's decoder, ``dec_hidden`` wide with ``dec_depth`` blocks).
        codebook_init: what a fresh codebook is drawn from; ``custom`` axes are in no config, and are random.
        freeze_codebook: whether training left the codebook as it was drawn.
        init_scheme: kept in files; the public AlephModel draws its weights in one way whatever it says.
    """

    model_type: ClassVar[str] = "aleph"
    inert: ClassVar[Mapping[str, Any]] = {
        "readout": choice(None, ["linear"]),
        "address_chunk": number(None, most=1 << 62),
    }

    V: int = number(32)
    hidden: int = number(64)
    depth: int = number(1, 0, MOST_LAYERS)
    n_cross_layers: int = number(0, 0, MOST_LAYERS)
    address: str = choice("soft", ["soft", "hard", "none"])
    K: int = number(64)
    address_tau: float = positive(0.1)
    decode_mode: str = choice("tied", ["tied", "dict", "mlp"])
    n_atoms: int = number(64)
    code_tau: float = positive(1.0)
    dec_hidden: int | None = number(None, otherwise=lambda config: config.hidden)
    dec_depth: int | None = number(None, 0, MOST_LAYERS, otherwise=lambda config: config.depth)
    boundary_smooth: bool = choice(True, [True, False])
    codebook_init: str = choice("random", ["random", "fibonacci", "custom"])
    freeze_codebook: bool = choice(False, [True, False])


class AlephModel(PatchModel):
    """The autoencoder with a codebook; see :class:`~.base.PatchModel` for its output."""

    config: AlephConfig
    spectrum = COLUMN_NORMS

    def __init__(self, config: AlephConfig) -> None:
        super().__init__(config)
        patch_values, values = config.channels * config.patch_size**2, config.V * config.D
        if config.address != "none":
            axes = fresh_axes(config)
            if config.freeze_codebook:
                self.register_buffer("codebook", axes)
            else:
                self.codebook = nn.Parameter(axes)
        self.enc_in = nn.Linear(patch_values, config.hidden)
        self.enc_blocks = residual_blocks(config.hidden, config.depth, config.activation)
        self.enc_out = nn.Linear(config.hidden, values)
        nn.init.orthogonal_(self.enc_out.weight)
        if config.decode_mode == "tied":
            self.dec = nn.Linear(values, patch_values)
        elif config.decode_mode == "dict":
            self.code_proj = nn.Linear(values, config.n_atoms)
            self.atoms = nn.Parameter(0.02 * torch.randn(config.n_atoms, patch_values))
        else:
            self.dec_in = nn.Linear(values, config.dec_hidden)
            self.dec_blocks = residual_blocks(config.dec_hidden, config.dec_depth, config.activation)
            self.dec_out = nn.Linear(config.dec_hidden, patch_values)
        self.cross_attn = cross_attention(config.D, config.n_heads, config.n_cross_layers)
        self.boundary_smooth = nn.Identity()
        if config.boundary_smooth:
            self.boundary_smooth = BoundarySmooth(config.smooth_mid, config.channels, config.activation)
        self.act = ACTIVATIONS[config.activation]()

    def stages(self) -> Stages:
        encoder = Mlp(self.enc_in, self.act, self.enc_blocks, self.enc_out)
        if self.config.decode_mode == "mlp":
            return Stages(encoder, None, Mlp(self.dec_in, self.act, self.dec_blocks, self.dec_out))
        if self.config.decode_mode == "tied":
            return Stages(encoder, None, self.dec)
        return Stages(encoder, None, Chain([self.code_proj, self._mixed]))

    def _mixed(self, codes: Tensor) -> Tensor:
        """Patches (R, C*ps*ps) of codes (R, n_atoms)."""
        return torch.softmax(codes / self.config.code_tau, dim=-1) @ self.atoms

    def decompose(self, M: Tensor, stages: Stages, vectors: bool) -> dict[str, Tensor]:
        U = M if self.config.address == "none" else self._addressed(M)
        S, Vt = column_norms(U)
        return {"U": U, "S_orig": S, "Vt": Vt, "M": M}

    def _addressed(self, M: Tensor) -> Tensor:
        """The rows of M (B, N, V, D) as the codebook's axes, or mixtures of them, stand for them."""
        axes = F.normalize(self.codebook, dim=-1)
        oriented = torch.cat([axes, -axes])
        at_once = max(1, ADDRESS_VALUES // len(oriented))
        found = [self._address(rows, oriented) for rows in M.flatten(0, 2).split(at_once)]
        return torch.cat(found).reshape(M.shape)

    def _address(self, rows: Tensor, oriented: Tensor) -> Tensor:
        alike = rows @ oriented.T
        if self.config.address == "hard":
            return oriented[alike.argmax(dim=-1)]
        return torch.softmax(alike / self.config.address_tau, dim=-1) @ oriented

    def put_together(self, svd: Svd, modes: Tensor | None) -> Tensor:
        """U diag(S) for the ``mlp`` decoder, U itself for the others; mode k is a column of either."""
        if self.config.decode_mode == "mlp":
            return svd["U"] * (svd["S"] if modes is None else svd["S"] * modes).unsqueeze(-2)
        return svd["U"] if modes is None else svd["U"] * modes.unsqueeze(-2)


def fresh_axes(config: AlephConfig) -> Tensor:
    """A fresh codebook (K, D)."""
    if config.codebook_init != "fibonacci":
        return torch.randn(config.K, config.D)
    if config.D == 4:
        return F.normalize(super_fibonacci(config.K).float(), dim=-1)
    fixed = torch.Generator().manual_seed(0)
    return F.normalize(torch.randn(config.K, config.D, generator=fixed), dim=-1)


def super_fibonacci(count: int) -> Tensor:
    """Unit quaternions (count, 4) in float64, spread evenly by Alexa's spirals (CVPR 2022)."""
    at = torch.arange(count, dtype=torch.float64) + 0.5
    height = at / count
    inner, outer = height.sqrt(), (1 - height).sqrt()
    a, b = 2 * math.pi * at / math.sqrt(2), 2 * math.pi * at / FIBONACCI_PSI
    return torch.stack([inner * a.sin(), inner * a.cos(), outer * b.sin(), outer * b.cos()], dim=-1)
