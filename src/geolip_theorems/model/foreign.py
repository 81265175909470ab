"""Models that the original geolip-svae package reads, other architectures included."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import Any

from torch import nn

from ..io.errors import InputError, printable, reason
from ..io.files import file_sha256
from .architectures import ARCHITECTURES, model_type_of, read_config
from .hub import installed
from .reading import STATES, Checkpoint

INSTALL = "pip install --no-deps --group geolip (pip 25.1 or later) in a checkout of this suite"
# Keys of a PatchSVAE's config that change its function and that no version of the original's loader passes
# on to the model it builds, with the values it has instead; likewise ``activations``, with gelu everywhere.
LEFT_OUT = {"channels": 3, "activation": "gelu", "row_norm": "sphere"}
# Keys that only later versions pass on, to attributes of these names.
PASSED_LATER = {"linear_readout": False, "svd_mode": "default"}


def load_with_geolip(path: Path, checkpoint: Checkpoint) -> nn.Module:
    """Load a checkpoint with ``geolip_svae.load_model``.

    The original reads pickles without restriction, so our own reader has to accept the file first, and
    another file under the same name is refused. The original also leaves out keys of the config without a
    word, so a file whose function hangs on one of them is refused.
    """
    config, kind = checkpoint.config, model_type_of(checkpoint.config)
    if kind in ARCHITECTURES:
        read_config(config)
    if checkpoint.layout != STATES[0]:
        raise InputError(
            f"--implementation geolip cannot read {path.name!r}: its layout is {checkpoint.layout}, and "
            f"geolip-svae takes dictionaries with config and {STATES[0]} only; use --implementation builtin"
        )
    if kind != "aleph":  # every key of which the original passes on
        for key, default in LEFT_OUT.items():
            if config.get(key, default) not in (None, default):
                raise _misread(path, key, config[key])
        sites = config.get("activations") or {}
        if not isinstance(sites, dict) or any(name != "gelu" for name in sites.values()):
            raise _misread(path, "activations", sites)
    if not installed("geolip_svae"):
        raise InputError(f"--implementation geolip needs the geolip-svae package; install it with {INSTALL}")
    from geolip_svae import load_model

    if file_sha256(path) != checkpoint.sha256:
        raise InputError(f"model file {path.name!r} changed while it was being read; try again")
    try:
        model, _ = load_model(checkpoint_path=str(path), device="cpu")
    except (RuntimeError, KeyError, TypeError, AttributeError, ValueError, UnpicklingError) as error:
        raise InputError(f"geolip-svae cannot read {path.name!r}: {reason(error)}") from None
    if not hasattr(model, "patch_size"):
        raise InputError(f"geolip-svae's model for {path.name!r} has no patch_size; expected a patch model")
    if kind == "aleph" and not hasattr(model, "decode_mode"):  # an AlephModel's names can be a PatchSVAE's
        raise _misread(path, "model_type", kind)
    for key, default in PASSED_LATER.items():
        value = config.get(key)
        if value is not None and getattr(model, key, default) != value:
            raise _misread(path, key, value)
    return model.eval().requires_grad_(False)


def _misread(path: Path, key: str, value: Any) -> InputError:
    return InputError(
        f"--implementation geolip would misread {path.name!r}: geolip-svae's loader leaves out "
        f"{key}={printable(repr(value), 80)}; use --implementation builtin"
    )
