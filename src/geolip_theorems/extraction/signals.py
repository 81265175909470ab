"""What a model's output holds: which signals are in it, and why the others are missing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ..io.errors import InputError

CONDUIT_SIZES = (2, 16)  # the matrices the conduit takes
NO_SVD = "the model's output has no svd, so it has no modes"
NO_VT = "the model's svd has no Vt, and friction is of the Gram matrices Vt^T diag(S^2) Vt"
NOT_ASKED = "no image was to be decoded without a mode"
NO_DECODER = "the model's decoder does not take modes apart, so only energies are measured"


def read_output(out: Any) -> tuple[Tensor, Mapping[str, Tensor] | None]:
    """The reconstruction and the svd of a model's output, None where it has no S; else ``InputError``."""
    if isinstance(out, Tensor):
        return out, None
    if not isinstance(out, Mapping) or not isinstance(out.get("recon"), Tensor):
        keys = f" with {', '.join(map(repr, out)) or 'nothing'}" if isinstance(out, Mapping) else ""
        raise InputError(
            f"the model gives a {type(out).__name__}{keys}; expected the decoded images, a tensor, or a dict "
            "with 'recon'"
        )
    svd = out.get("svd")
    if svd is not None and not isinstance(svd, Mapping):
        raise InputError(f"the model's svd is a {type(svd).__name__}; expected a dict with 'S', or none")
    return out["recon"], svd if svd and "S" in svd else None


def absent_signals(svd: Mapping[str, Tensor] | None) -> dict[str, str]:
    """Map name -> why it is missing, of S, friction and settle."""
    if svd is None:
        return dict.fromkeys(("S", "friction", "settle"), NO_SVD)
    least, most = CONDUIT_SIZES
    modes = svd["S"].shape[-1]
    if "Vt" not in svd:
        return dict.fromkeys(("friction", "settle"), NO_VT)
    if not least <= modes <= most:
        reason = f"the model has {modes} mode{'s' * (modes != 1)}; the conduit takes {least} to {most}"
        return dict.fromkeys(("friction", "settle"), reason)
    return {}
