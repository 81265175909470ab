"""The architectures of the public model line, one file each, and their registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from ...io.errors import InputError, printable
from ..threads import seeded
from .aleph import AlephConfig, AlephModel
from .base import PatchModel
from .configs import Config, whole
from .fast import FastForward, kernels
from .layers import extract_patches, grid_shape, stitch_patches
from .patch_svae import PatchSVAE, SVAEConfig
from .spectra import gram_svd

__all__ = [
    "ARCHITECTURES", "AlephConfig", "AlephModel", "Architecture", "Config", "FastForward", "PatchModel",
    "PatchSVAE", "SVAEConfig", "architecture_named", "architecture_of", "extract_patches", "fast_forward",
    "gram_svd", "grid_shape", "kernels", "model_type_of", "read_config", "stitch_patches", "whole",
]  # fmt: skip

LARGEST_MODEL = 1 << 28  # weights, 1 GiB; the largest published checkpoint has 0.3 GB


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry: its name in a checkpoint's config, a line about it, and its two types."""

    model_type: str
    about: str
    config: type[Config]
    model: type[PatchModel]

    def build(self, config: Config) -> PatchModel:
        """A module with fresh weights, drawn as the public code draws them, from torch's global generator.

        Raises:
            InputError: it is too large.
        """
        weights, _ = _blueprint(self.model, config)
        if weights > LARGEST_MODEL:
            raise InputError(
                f"model config describes {weights:,} weights; expected at most {LARGEST_MODEL:,}"
            )
        return self.model(config)


ARCHITECTURES: dict[str, Architecture] = {
    entry.model_type: entry
    for entry in (
        Architecture("v1", "PatchSVAE, the sphere-solvers among them", SVAEConfig, PatchSVAE),
        Architecture("aleph", "AlephModel: rows put on the axes of a codebook", AlephConfig, AlephModel),
    )
}


def model_type_of(config: Mapping[str, Any]) -> Any:
    """A checkpoint's ``model_type``, which is 'v1' where its config has none."""
    given = config.get("model_type")
    return SVAEConfig.model_type if given is None else given


def architecture_named(model_type: Any) -> Architecture:
    """The entry of a ``model_type``. Raises InputError: there is none."""
    if isinstance(model_type, str) and model_type in ARCHITECTURES:
        return ARCHITECTURES[model_type]
    known = " and ".join(map(repr, ARCHITECTURES))
    raise InputError(
        f"the checkpoint's model_type is {printable(repr(model_type), 60)}, and the built-in models read "
        f"{known} only; install a version of geolip-svae that has it (see the README) and use "
        "--implementation geolip"
    )


def read_config(config: Mapping[str, Any]) -> Config:
    """A checkpoint's ``config``. Raises InputError: its model is not built in, or a value is out of range."""
    return architecture_named(model_type_of(config)).config.from_mapping(config)


def architecture_of(module: nn.Module) -> Architecture | None:
    """The entry of a module that is exactly of its type, no part exchanged, replaced or hooked; else None."""
    entry = next((entry for entry in ARCHITECTURES.values() if type(module) is entry.model), None)
    if entry is None or repr(module) != _blueprint(entry.model, module.config)[1]:
        return None
    for part in module.modules():
        own_methods = any(callable(getattr(type(part), name, None)) for name in vars(part))
        if own_methods or part._forward_hooks or part._forward_pre_hooks:
            return None
    return entry


@cache
def _blueprint(model: type[PatchModel], config: Config) -> tuple[float, str]:
    """How many weights a model of this config has, and its parts as text."""
    try:
        with seeded(0), torch.device("meta"):
            built = model(config)
    except RuntimeError:  # more bytes than torch can count
        return float("inf"), ""
    return sum(weights.numel() for weights in built.parameters()), repr(built)


def fast_forward(module: nn.Module) -> FastForward | None:
    """The fast round trip of a built-in module in float32; None for any other module."""
    if architecture_of(module) and all(p.dtype == torch.float32 for p in module.state_dict().values()):
        return FastForward(module)
    return None
