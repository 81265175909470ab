"""PatchSVAE: patches -> residual MLP -> matrix of normed rows -> SVD or readout -> residual MLP -> patches.

The architecture and the names of its parameters are those of the public checkpoints. ``M`` (V, D) is a
patch's encoding. With ``linear_readout``, the sphere-solver, ``U`` (V, D) is the readout of M, ``S`` (D,) the
lengths of its columns and ``Vt`` (D, D) the identity; else they are singular values, descending, and vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor, nn

from .base import COLUMN_NORMS, SINGULAR_VALUES, Mlp, PatchModel, Stages, Svd, column_norms
from .configs import AutoencoderConfig, Kind, choice
from .layers import ACTIVATIONS, INIT_SCHEMES, BoundarySmooth, cross_attention, residual_blocks
from .spectra import SINGULAR_VALUE_FLOOR, SOLVERS, left_vectors

SITES = ("enc_in", "enc_block_inner", "dec_in", "dec_block_inner", "boundary_smooth")
BY_SITE = Kind(
    lambda v: isinstance(v, Mapping) and {*v} <= {*SITES} and all(n in [*ACTIVATIONS] for n in v.values()),
    f"names by site ({', '.join(SITES)}), each one of {', '.join(map(repr, ACTIVATIONS))}",
)


@dataclass(frozen=True)
class SVAEConfig(AutoencoderConfig):
    """What a PatchSVAE's function depends on. The defaults are Freckles'.

    Attributes:
        activation: after ``enc_in``, where ``activations`` has no name for it.
        activations: names by site; afterwards all of :data:`SITES`.
        svd_mode: see :data:`.spectra.SOLVERS`; ``none`` is for ``linear_readout``, which beats all others.
        linear_readout: a linear map of M in place of the SVD; the identity where ``match_params`` is False.
    """

    model_type: ClassVar[str] = "v1"
    required: ClassVar[tuple[str, ...]] = ("V", "D", "patch_size", "hidden", "depth", "n_cross_layers")
    inert: ClassVar[Mapping[str, Any]] = {
        "solver": choice(None, ["default", "conduit"]),
        "svd_method": choice(None, ["auto", "fl", "gram_eigh", "triton", "torch"]),
        "svd_compute_dtype": choice(None, ["fp64", "fp32"]),
        "linear_readout_power": choice(None, [1]),  # what other powers do is documented nowhere
    }

    activations: Mapping[str, str] = field(default_factory=dict, hash=False, metadata={"kind": BY_SITE})
    svd_mode: str = choice("default", [*SOLVERS, "none"])
    linear_readout: bool = choice(False, [True, False])
    match_params: bool = choice(True, [True, False])

    def __post_init__(self) -> None:
        super().__post_init__()
        sites = {**dict.fromkeys(SITES, "gelu"), "enc_in": self.activation, **self.activations}
        object.__setattr__(self, "activations", sites)
        object.__setattr__(self, "activation", sites["enc_in"])
        known = "'none' is known with linear_readout=True only"
        self.demand(self.svd_mode != "none" or self.linear_readout, known, "svd_mode", "linear_readout")
        self.demand(self.V >= self.D or self.linear_readout, "expected V >= D", "V", "D")

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> SVAEConfig:
        """See :meth:`.configs.Config.from_mapping`; without a readout its power describes nothing."""
        unread = set() if config.get("linear_readout") else {"linear_readout_power"}
        return super().from_mapping({key: value for key, value in config.items() if key not in unread})


class PatchSVAE(PatchModel):
    """The patch-SVD autoencoder of the public checkpoints; see :class:`~.base.PatchModel` for its output."""

    config: SVAEConfig

    def __init__(self, config: SVAEConfig | None = None, **overrides: Any) -> None:
        config = SVAEConfig(**overrides) if config is None else config
        super().__init__(config)
        self.spectrum = COLUMN_NORMS if config.linear_readout else SINGULAR_VALUES
        names = config.activations
        patch_values, values = config.channels * config.patch_size**2, config.V * config.D
        self.enc_in = nn.Linear(patch_values, config.hidden)
        self.enc_blocks = residual_blocks(config.hidden, config.depth, names["enc_block_inner"])
        self.enc_out = nn.Linear(config.hidden, values)
        nn.init.orthogonal_(self.enc_out.weight)
        if config.linear_readout:
            self.readout = nn.Linear(values, values) if config.match_params else nn.Identity()
        self.dec_in = nn.Linear(values, config.hidden)
        self.dec_blocks = residual_blocks(config.hidden, config.depth, names["dec_block_inner"])
        self.dec_out = nn.Linear(config.hidden, patch_values)
        self.cross_attn = cross_attention(config.D, config.n_heads, config.n_cross_layers)
        self.boundary_smooth = BoundarySmooth(config.smooth_mid, config.channels, names["boundary_smooth"])
        self.enc_act, self.dec_act = (ACTIVATIONS[names[site]]() for site in ("enc_in", "dec_in"))
        if draw := INIT_SCHEMES[config.init_scheme]:
            for layer in self.modules():
                if isinstance(layer, nn.Linear):
                    draw(layer.weight)
                    nn.init.zeros_(layer.bias)
            nn.init.orthogonal_(self.enc_out.weight)

    def stages(self) -> Stages:
        matched = self.config.linear_readout and self.config.match_params
        return Stages(
            Mlp(self.enc_in, self.enc_act, self.enc_blocks, self.enc_out),
            self.readout if matched else None,
            Mlp(self.dec_in, self.dec_act, self.dec_blocks, self.dec_out),
        )

    def decompose(self, M: Tensor, stages: Stages, vectors: bool) -> dict[str, Tensor]:
        if self.config.linear_readout:
            values = M.flatten(0, 1).flatten(1)
            U = M if stages.readout is None else stages.readout(values).reshape(M.shape)
            S, Vt = column_norms(U)
            return {"U": U, "S_orig": S, "Vt": Vt, "M": M}
        S, Vt = SOLVERS[self.config.svd_mode](M)
        found = {"U": left_vectors(M, S, Vt)} if vectors else {}
        S, Vt = S.to(M.dtype), Vt.contiguous().to(M.dtype) if vectors else Vt.to(M.dtype)
        per_patch = M.shape[:2]
        return {**found, "S_orig": S.expand(*per_patch, -1), "Vt": Vt.expand(*per_patch, -1, -1), "M": M}

    def put_together(self, svd: Svd, modes: Tensor | None) -> Tensor:
        """U diag(S) Vt. Where U is not kept it is M V / S_orig, so this is M V diag(S / S_orig) Vt."""
        S = svd["S"] if modes is None else svd["S"] * modes
        if self.config.linear_readout:
            return svd["U"] * S.unsqueeze(-2)
        if "U" in svd:
            return (svd["U"] * S.unsqueeze(-2)) @ svd["Vt"]
        share = svd["S"] / svd["S_orig"].clamp(min=SINGULAR_VALUE_FLOOR)
        if modes is not None:
            share = share * modes
        return svd["M"] @ (svd["Vt"].mT @ (share.unsqueeze(-1) * svd["Vt"]))
