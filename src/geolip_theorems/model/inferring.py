"""The config of a bare state dict, from its names and shapes.

What they do not say is left at its default and named; what they leave open without a default is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import Any, NamedTuple

from torch import Tensor

from ..io.errors import InputError

ALEPH_ONLY = ("codebook", "dec.weight", "code_proj.weight", "atoms")  # no PatchSVAE has one of these
Shapes = Mapping[str, tuple[int, ...]]


class Inferred(NamedTuple):
    """A ``config`` that the shapes tell, and the keys of it that they do not tell."""

    config: dict[str, Any]
    assumed: tuple[str, ...]


def infer_config(name: str, weights: Mapping[str, Tensor]) -> Inferred:
    """Read a state dict's config from the names and shapes of its tensors.

    Args:
        name: of the file, for messages.
        weights: by public name. Whether each one fits the config is not checked here.

    Raises:
        InputError: the names are not a PatchSVAE's or an AlephModel's, or the shapes can be those of
            models with different sizes.
    """
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    try:
        return _aleph(name, shapes) if any(key in shapes for key in ALEPH_ONLY) else _patch_svae(name, shapes)
    except InputError:  # a ValueError too
        raise
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        raise InputError(
            f"model file {name} has no config and its weights are not a PatchSVAE's; expected a dictionary "
            "with config and model_state_dict or model_state, or a state dict with the public names"
        ) from None


def _patch_svae(name: str, shapes: Shapes) -> Inferred:
    solver = "readout.weight" in shapes
    cross = _count(shapes, "cross_attn")
    config = {
        **_sizes(name, shapes),
        "patch_size": _patch_size(name, shapes),
        "n_cross_layers": cross,
        "linear_readout": solver,
        "svd_mode": "none" if solver else "default",
        "match_params": True,
    }
    assumed = ["activations", "row_norm"]
    assumed += [] if solver else ["model_type", "linear_readout", "svd_mode"]
    return Inferred(config, (*assumed, *(["n_heads"] if cross else [])))


def _aleph(name: str, shapes: Shapes) -> Inferred:
    addressed, cross = "codebook" in shapes, _count(shapes, "cross_attn")
    decoder = "tied" if "dec.weight" in shapes else "dict" if "atoms" in shapes else "mlp"
    sizes = _sizes(name, shapes)
    config = {
        "model_type": "aleph",
        **sizes,
        "ps": _patch_size(name, shapes),
        "n_cross": cross,
        "boundary_smooth": True,
        "decode_mode": decoder,
        "address": "soft" if addressed else "none",
    }
    assumed = ["activation", "row_norm"]
    if addressed:
        config["K"] = shapes["codebook"][0]
        assumed += ["address", "address_tau"]
    if decoder == "dict":
        config["n_atoms"] = shapes["atoms"][0]
        assumed += ["code_tau"]
    if decoder == "mlp":
        own = {"dec_hidden": shapes["dec_in.weight"][0], "dec_depth": _count(shapes, "dec_blocks")}
        if [*own.values()] != [sizes["hidden"], sizes["depth"]]:
            config |= own
    return Inferred(config, (*assumed, *(["n_heads"] if cross else [])))


def _sizes(name: str, shapes: Shapes) -> dict[str, int]:
    """What both architectures have."""
    if "cross_attn.0.alpha_logits" in shapes:
        (modes,) = shapes["cross_attn.0.alpha_logits"]
    elif "codebook" in shapes:
        _, modes = shapes["codebook"]
    else:
        values, _ = shapes["enc_out.weight"]
        raise _open(name, f"how enc_out's {values} values are V x D (no cross_attn, no codebook)")
    rows, left = divmod(shapes["enc_out.weight"][0], modes)
    if left:
        raise ValueError("enc_out is no multiple of D")
    hidden, _ = shapes["enc_in.weight"]
    mid, channels, _, _ = _smoothing(name, shapes)
    depth = _count(shapes, "enc_blocks")
    return {"V": rows, "D": modes, "hidden": hidden, "depth": depth, "channels": channels, "smooth_mid": mid}


def _patch_size(name: str, shapes: Shapes) -> int:
    values, channels = shapes["enc_in.weight"][1], _smoothing(name, shapes)[1]
    size = isqrt(values // channels)
    if channels * size**2 != values:
        raise ValueError("the patch is no square")
    return size


def _smoothing(name: str, shapes: Shapes) -> tuple[int, ...]:
    if "boundary_smooth.net.0.weight" not in shapes:
        values = shapes["enc_in.weight"][1]
        raise _open(name, f"how enc_in's {values} values are channels x patch x patch (no boundary_smooth)")
    return shapes["boundary_smooth.net.0.weight"]


def _open(name: str, what: str) -> InputError:
    return InputError(
        f"model file {name} has no config, and its shapes leave open {what}; save it as a dictionary with "
        "model_state_dict and config"
    )


def _count(shapes: Shapes, prefix: str) -> int:
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{prefix}.")})
