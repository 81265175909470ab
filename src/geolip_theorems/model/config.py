"""The shape of a PatchSVAE and how it is read from a checkpoint's ``config``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import InputError, printable

LARGEST = 1 << 16  # no layer of a published model comes near; a larger number is a damaged file
MOST_LAYERS = 256
LARGEST_MODEL = 1 << 28  # weights, 1 GiB; the largest published checkpoint has 0.3 GB


@dataclass(frozen=True)
class SVAEConfig:
    """Sizes of a PatchSVAE. The defaults are Freckles'.

    Attributes:
        V, D: rows and columns of a patch's matrix; D singular values a patch.
        patch_size: side of a patch in pixels.
        hidden, depth: width and number of the residual blocks, encoder and decoder alike.
        n_cross_layers, n_heads: layers and heads of the spectral cross-attention.
        smooth_mid: channels inside the boundary smoothing.
    """

    V: int = 48
    D: int = 4
    patch_size: int = 4
    hidden: int = 384
    depth: int = 4
    n_cross_layers: int = 2
    n_heads: int | None = None
    smooth_mid: int | None = None

    def __post_init__(self) -> None:
        if self.n_heads is None:
            object.__setattr__(self, "n_heads", 2 if self.D <= 8 else min(4, self.D))
        if self.smooth_mid is None:
            object.__setattr__(self, "smooth_mid", 16 if self.patch_size >= 16 else 8)
        for field in fields(self):
            value = getattr(self, field.name)
            least, most = (0, MOST_LAYERS) if field.name in ("depth", "n_cross_layers") else (1, LARGEST)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                shown = printable(repr(value), 60)
                raise InputError(f"model config has {field.name}={shown}; expected {least} to {most}")
        if self.n_cross_layers and self.D % self.n_heads:
            raise InputError(
                f"model config has D={self.D} and n_heads={self.n_heads}; D must be a multiple of n_heads"
            )
        if self.V < self.D:
            raise InputError(f"model config has V={self.V} rows for D={self.D} modes; expected V >= D")

        if self.parameters > LARGEST_MODEL:
            raise InputError(
                f"model config describes {self.parameters:,} weights; expected at most {LARGEST_MODEL:,}"
            )

    @property
    def parameters(self) -> int:
        """Weights of the linear layers, biases and norms apart: what decides a model's size."""
        ends = self.hidden * (3 * self.patch_size**2 + self.V * self.D)
        attention = 4 * self.n_cross_layers * self.D**2
        return 2 * (ends + 2 * self.depth * self.hidden**2) + attention + 54 * self.smooth_mid

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> SVAEConfig:
        """Read the sizes from a checkpoint's ``config``, other keys of which are left alone.

        Raises:
            InputError: a key is missing, a value is out of range or the model is not PatchSVAE version 1.
        """
        model_type = config.get("model_type", "v1")
        if model_type != "v1":
            raise InputError(
                f"the checkpoint's model_type is {printable(repr(model_type), 60)}, and the built-in model "
                "reads 'v1' only; install geolip-svae (pip install -e '.[geolip]') and use --implementation "
                "geolip"
            )
        values = {}
        for name in ("V", "D", "patch_size", "hidden", "depth", "n_cross_layers"):
            if name not in config:
                raise InputError(f"the checkpoint's config has no {name!r}; it is not a PatchSVAE checkpoint")
            values[name] = whole(config[name])
        for name in ("n_heads", "smooth_mid"):
            if config.get(name) is not None:
                values[name] = whole(config[name])
        return cls(**values)

    def as_dict(self) -> dict[str, int]:
        """The sizes as a plain dictionary, in the order of the fields."""
        return asdict(self)


def whole(value: Any) -> Any:
    """NumPy and float integers as int; anything else unchanged, for others to refuse."""
    if isinstance(value, bool):
        return value
    try:
        return int(value) if int(value) == value else value
    except (TypeError, ValueError, OverflowError):
        return value
