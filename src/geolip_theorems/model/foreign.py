"""Models that the original geolip-svae package reads, other architectures included."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from ..errors import InputError
from .hub import installed
from .reading import file_sha256

INSTALL = "pip install -e '.[geolip]' in a checkout of this suite"


def load_with_geolip(path: Path, sha256: str) -> nn.Module:
    """Load a checkpoint with ``geolip_svae.load_model``.

    The original reads pickles without restriction, so the caller has our own reader accept the file
    first and passes the digest of what was accepted: another file under the same name is refused.

    Raises:
        InputError: the package is missing, the file changed, or the package cannot read it.
    """
    if not installed("geolip_svae"):
        raise InputError(f"--implementation geolip needs the geolip-svae package; install it with {INSTALL}")
    from geolip_svae import load_model

    if file_sha256(path) != sha256:
        raise InputError(f"model file {path.name!r} changed while it was being read; try again")
    try:
        model, _ = load_model(checkpoint_path=str(path), device="cpu")
    except (RuntimeError, KeyError, TypeError, AttributeError) as error:
        text = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"geolip-svae cannot read {path.name!r}: {text[0][:160]}") from None
    if not hasattr(model, "patch_size"):
        raise InputError(
            f"geolip-svae's model for {path.name!r} has no patch_size; only patch models can be measured"
        )
    return model.eval().requires_grad_(False)
