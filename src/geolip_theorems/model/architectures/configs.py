"""Reading a checkpoint's ``config``: a key is part of the function, a description, or a reason to refuse.

Keys and their meaning are those that the public trainers write.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import isfinite
from typing import Any, ClassVar, NamedTuple

from ...io.errors import InputError, nearest, printable
from .layers import ACTIVATIONS, INIT_SCHEMES, ROW_NORMS

LARGEST = 1 << 16  # no layer of a published model comes near; a larger number is a damaged file
MOST_LAYERS = 256

# Other names of the same keys, in files of either architecture.
SYNONYMS = {"ps": "patch_size", "n_cross": "n_cross_layers", "matrix_v": "V", "n_axes": "K"}

# What the trainers write, or let their users set, about data, schedule, loss, files and uploads; whatever
# begins with one of the prefixes is about how a data set of tokens or of bytes was made.
DESCRIPTIONS = frozenset(
    key
    for line in (
        "dataset img_size image_size batch_size lr epochs epoch step steps max_steps seed num_workers",
        "target_cv cv_weight boost sigma cv_band_lo cv_band_hi loss_mode div_weight grad_clip tree_depth",
        "pretrained curriculum tier_schedule allowed_types ds_size val_size noise_types noise_names",
        "subgroup variant battery_id name description source normalize test_mse val_mse test_cos",
        "hf_version hf_repo save_dir save_every tb_dir report_every val_every upload",
        "build_codebook build_topology _epoch _test_mse _path _model_type",
    )
    for key in line.split()
)
DESCRIBING_PREFIXES = ("sp_", "bt_")


class Kind(NamedTuple):
    """What the values of a key may be, and the same in words."""

    accepts: Callable[[Any], bool]
    expected: str


def number(default: Any = MISSING, least: int = 1, most: int = LARGEST, otherwise: Any = None) -> Any:
    """A field of numbers of type int; ``otherwise`` gives the one that None stands for, from the config."""
    kind = Kind(lambda v: type(v) is int and least <= v <= most, f"{least} to {most}")
    return field(default=default, metadata={"kind": kind, "otherwise": otherwise})


def choice(default: Any, values: Iterable[Any]) -> Any:
    """A field of a few values; 1 is not True here, and 1.0 is 1."""
    known = tuple(values)
    words = ("one of " if len(known) > 1 else "") + ", ".join(map(repr, known))
    kind = Kind(lambda v: any(isinstance(v, bool) == isinstance(k, bool) and v == k for k in known), words)
    return field(default=default, metadata={"kind": kind})


def positive(default: float) -> Any:
    """A field of positive numbers."""
    kind = Kind(lambda v: type(v) in (int, float) and isfinite(v) and v > 0, "a number above 0")
    return field(default=default, metadata={"kind": kind})


@dataclass(frozen=True)
class Config:
    """A dataclass whose fields are the keys that change a model's function, each with its :class:`Kind`.

    ``model_type`` is that of files, ``required`` are keys without which a file is not of this architecture,
    ``inert`` the fields of keys that do not change the function but for rounding.
    """

    model_type: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    inert: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if value is None and (otherwise := f.metadata.get("otherwise")):
                object.__setattr__(self, f.name, otherwise(self))
            else:
                _check(f.name, value, f)

    def demand(self, holds: bool, expected: str, *keys: str) -> None:
        """Raise ``InputError`` where the values of some keys do not go together."""
        if not holds:
            given = " and ".join(f"{key}={getattr(self, key)!r}" for key in keys)
            raise InputError(f"model config has {given}; {expected}")

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Any:
        """Read a checkpoint's ``config``; an absent or null key has its default.

        Raises:
            InputError: a key is missing, or its effect on the function or that of its value is not known.
        """
        given = _one_name_each(config)
        known = [f.name for f in fields(cls)]
        for key, value in given.items():
            if key in cls.inert and value is not None:
                _check(key, value, cls.inert[key])
            if key not in (*known, *cls.inert, "model_type") and not describes(key):
                raise InputError(
                    f"model config has {printable(key, 60)}={printable(repr(value), 60)}, and what it does "
                    f"to the model's function is not known; {nearest(str(key), [*known, *cls.inert])}"
                )
        for key in cls.required:
            if given.get(key) is None:
                raise InputError(
                    f"the checkpoint's config has no {key!r}; expected {', '.join(cls.required)}"
                )
        return cls(**{key: whole(v) for key, v in given.items() if key in known and v is not None})

    def as_dict(self) -> dict[str, Any]:
        """The keys as a plain dictionary that JSON can hold and :meth:`from_mapping` reads."""
        return {**asdict(self), "model_type": self.model_type}


@dataclass(frozen=True)
class AutoencoderConfig(Config):
    """The keys of both published architectures; a default of None depends on other keys.

    A patch, ``patch_size`` pixels a side, has a matrix of V rows and D columns. ``hidden`` and ``depth`` are
    the residual blocks' width and number, ``smooth_mid`` the channels inside the boundary smoothing.
    """

    V: int = number(48)
    D: int = number(4)
    patch_size: int = number(4)
    hidden: int = number(384)
    depth: int = number(4, 0, MOST_LAYERS)
    n_cross_layers: int = number(2, 0, MOST_LAYERS)
    n_heads: int | None = number(None, otherwise=lambda c: 2 if c.D <= 8 else min(4, c.D))
    smooth_mid: int | None = number(None, otherwise=lambda c: 16 if c.patch_size >= 16 else 8)
    channels: int = number(3)
    activation: str = choice("gelu", ACTIVATIONS)
    row_norm: str = choice("sphere", ROW_NORMS)
    init_scheme: str = choice("orthogonal", INIT_SCHEMES)

    def __post_init__(self) -> None:
        super().__post_init__()
        shared = not self.n_cross_layers or self.D % self.n_heads == 0
        self.demand(shared, "D must be a multiple of n_heads", "D", "n_heads")
        self.demand(self.row_norm != "layernorm" or self.D > 1, "expected D of 2 or more", "row_norm", "D")


def describes(key: Any) -> bool:
    """Whether a key is known not to change the function."""
    return key in DESCRIPTIONS or str(key).startswith(DESCRIBING_PREFIXES)


def refused(key: str, value: Any, expected: str) -> InputError:
    """The error for a value of a key that is not one of the known."""
    shown = printable(repr(value), 60)
    return InputError(f"model config has {printable(key, 80)}={shown}; expected {expected}")


def _check(key: str, value: Any, f: Any) -> None:
    kind = f.metadata.get("kind")
    if kind and not kind.accepts(value):
        raise refused(key, value, kind.expected)


def _one_name_each(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with synonyms replaced. Raises InputError: two names of a key disagree."""
    given = {key: value for key, value in config.items() if key not in SYNONYMS}
    for other, key in SYNONYMS.items():
        value = config.get(other)
        if value is None:
            continue
        if given.get(key, value) not in (None, value):
            same = f"{key}={printable(repr(given[key]), 60)}"
            raise refused(other, value, f"that of {same}, which is another name of it")
        given[key] = value
    return given


def whole(value: Any) -> Any:
    """NumPy and float integers as int; anything else unchanged, for others to refuse."""
    if isinstance(value, (bool, str)):
        return value
    try:
        return int(value) if int(value) == value else value
    except (TypeError, ValueError, OverflowError):
        return value
