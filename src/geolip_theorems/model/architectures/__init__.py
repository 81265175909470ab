"""The architectures of the public model line, one file each, and their registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    "ARCHITECTURES",
    "AlephConfig",
    "AlephModel",
    "Architecture",
    "Config",
    "FastForward",
    "PatchModel",
    "PatchSVAE",
    "SVAEConfig",
    "architecture_named",
    "architecture_of",
    "extract_patches",
    "fast_forward",
    "gram_svd",
    "grid_shape",
    "kernels",
    "model_type_of",
    "stitch_patches",
    "whole",
]


@dataclass(frozen=True)
class Architecture:
    """An entry of the registry.

    Attributes:
        model_type: its name in a checkpoint's config.
        about: one line for lists.
        config: the type of its configs.
        model: the type of its modules.
    """

    model_type: str
    about: str
    config: type[Config]
    model: type[PatchModel]

    def read_config(self, config: Mapping[str, Any]) -> Config:
        """A checkpoint's config, see :meth:`.configs.Config.from_mapping`."""
        return self.config.from_mapping(config)

    def build(self, config: Config) -> PatchModel:
        """A module with fresh weights, drawn as the public code draws them, from torch's global generator."""
        return self.model(config)

    def runner(self, module: PatchModel) -> FastForward:
        """The extraction's round trip of a module in float32, see :class:`.fast.FastForward`."""
        return FastForward(module)


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
    """The entry of a ``model_type``.

    Raises:
        InputError: there is no such entry.
    """
    if isinstance(model_type, str) and model_type in ARCHITECTURES:
        return ARCHITECTURES[model_type]
    known = " and ".join(map(repr, ARCHITECTURES))
    raise InputError(
        f"the checkpoint's model_type is {printable(repr(model_type), 60)}, and the built-in models read "
        f"{known} only; install a version of geolip-svae that has it (see the README) and use "
        "--implementation geolip"
    )


def architecture_of(module: nn.Module) -> Architecture | None:
    """The entry of a module that is exactly of its type, no part exchanged, replaced or hooked; else None."""
    entry = next((entry for entry in ARCHITECTURES.values() if type(module) is entry.model), None)
    if entry is None or not all(map(_as_its_class, module.modules())):
        return None
    return entry if repr(module) == _as_built(module.config) else None


def _as_its_class(module: nn.Module) -> bool:
    """Whether a module has neither methods of its own nor hooks."""
    if module._forward_hooks or module._forward_pre_hooks:
        return False
    return not any(callable(getattr(type(module), name, None)) for name in vars(module))


def _as_built(config: Config) -> str:
    """The parts of a model of this config, as text; made once for each config."""
    key = repr(config)
    if key not in _BUILT:
        with seeded(0), torch.device("meta"):
            _BUILT[key] = repr(architecture_named(config.model_type).build(config))
    return _BUILT[key]


_BUILT: dict[str, str] = {}


def fast_forward(module: nn.Module) -> FastForward | None:
    """The fast round trip of a built-in module in float32; None for any other module."""
    architecture = architecture_of(module)
    if architecture is None or any(p.dtype != torch.float32 for p in module.state_dict().values()):
        return None
    return architecture.runner(module)
