"""The config of a bare state dict, from its names and shapes.

What they do not say is left at its default and named; what they leave open without a default is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any

from torch import Tensor

from ..io.errors import InputError

ALEPH_ONLY = {"codebook", "dec.weight", "code_proj.weight", "atoms"}  # no PatchSVAE has one of these
Shapes = Mapping[str, tuple[int, ...]]


def infer_config(name: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The ``config`` that a state dict's shapes tell, and the keys of it that they do not tell.

    Raises:
        InputError: the names are not a PatchSVAE's or an AlephModel's, or the shapes can be those of
            models with different sizes.
    """
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    try:
        config, assumed = (_aleph if ALEPH_ONLY & {*shapes} else _patch_svae)(shapes, _sizes(name, shapes))
    except InputError:  # a ValueError too
        raise
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        raise InputError(
            f"{name} has no config and its weights are not a PatchSVAE's; expected a dictionary "
            "with config and model_state_dict or model_state, or a state dict with the public names"
        ) from None
    return config, (*assumed, *(["n_heads"] if _count(shapes, "cross_attn") else []))


def _patch_svae(shapes: Shapes, sizes: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    solver = "readout.weight" in shapes
    config = {**sizes, "linear_readout": solver, "svd_mode": "none" if solver else "default"}
    assumed = [] if solver else ["model_type", "linear_readout", "svd_mode"]
    return {**config, "match_params": True}, ["activations", "row_norm", *assumed]


def _aleph(shapes: Shapes, sizes: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    config: dict[str, Any] = {"model_type": "aleph", **sizes, "boundary_smooth": True, "address": "none"}
    assumed = ["activation", "row_norm"]
    if "codebook" in shapes:
        config |= {"address": "soft", "K": shapes["codebook"][0]}
        assumed += ["address", "address_tau"]
    if "dec.weight" in shapes:
        config["decode_mode"] = "tied"
    elif "atoms" in shapes:
        config |= {"decode_mode": "dict", "n_atoms": shapes["atoms"][0]}
        assumed += ["code_tau"]
    else:
        own = {"dec_hidden": shapes["dec_in.weight"][0], "dec_depth": _count(shapes, "dec_blocks")}
        config |= {"decode_mode": "mlp", **own}
    return config, assumed


def _sizes(name: str, shapes: Shapes) -> dict[str, int]:
    """What both architectures have."""

    def left_open(what: str) -> InputError:
        save = "save it as a dictionary with model_state_dict and config"
        return InputError(f"{name} has no config, and its shapes leave open how {what}; {save}")

    values, _ = shapes["enc_out.weight"]
    hidden, patch_values = shapes["enc_in.weight"]
    if "cross_attn.0.alpha_logits" in shapes:
        (modes,) = shapes["cross_attn.0.alpha_logits"]
    elif "codebook" in shapes:
        _, modes = shapes["codebook"]
    else:
        raise left_open(f"enc_out's {values} values are V x D (no cross_attn, no codebook)")
    if "boundary_smooth.net.0.weight" not in shapes:
        raise left_open(f"enc_in's {patch_values} values are channels x patch x patch (no boundary_smooth)")
    mid, channels, _, _ = shapes["boundary_smooth.net.0.weight"]
    side = isqrt(patch_values // channels)
    if values % modes or channels * side**2 != patch_values:
        raise ValueError("enc_out is no multiple of D, or the patch no square")
    return {
        "V": values // modes,
        "D": modes,
        "patch_size": side,
        "hidden": hidden,
        "depth": _count(shapes, "enc_blocks"),
        "channels": channels,
        "smooth_mid": mid,
        "n_cross_layers": _count(shapes, "cross_attn"),
    }


def _count(shapes: Shapes, prefix: str) -> int:
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{prefix}.")})
