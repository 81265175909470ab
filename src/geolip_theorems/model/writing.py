"""Writing models: the public checkpoint format (``.pt``) and safetensors, never a half-written file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from ..io.files import write_atomically
from .architectures import PatchModel

CONFIG_KEY = "geolip_config"  # the safetensors metadata key that holds the config as JSON


def save_checkpoint(
    path: Path, model: PatchModel, *, epoch: int, test_mse: float, config: Mapping[str, Any], **extra: Any
) -> None:
    """Write the public checkpoint format: epoch, test_mse, model_state_dict, config and ``extra``."""
    state = {"epoch": epoch, "test_mse": test_mse, "model_state_dict": model.state_dict()}
    state |= {"config": {**model.config.as_dict(), **config}, **extra}
    write_atomically(path, lambda name: torch.save(state, name))


def save_safetensors(path: Path, model: PatchModel, config: Mapping[str, Any]) -> None:
    """Write the weights as safetensors with the config as JSON in the metadata."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    metadata = {CONFIG_KEY: json.dumps({**model.config.as_dict(), **config}, sort_keys=True)}
    write_atomically(path, lambda name: save_file(tensors, name, metadata=metadata))
