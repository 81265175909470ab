"""Reading a checkpoint's ``config``: a key is part of the function, a description, or a reason to refuse.

A config is a dataclass whose fields are the keys that change the function, each with its check. The keys and
their meaning are those that the public trainers write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from math import isfinite
from typing import Any, ClassVar

from ...io.errors import InputError, nearest, printable
from .layers import ACTIVATIONS

LARGEST = 1 << 16  # no layer of a published model comes near; a larger number is a damaged file
MOST_LAYERS = 256
LARGEST_MODEL = 1 << 28  # weights, 1 GiB; the largest published checkpoint has 0.3 GB

# Other names of the same keys, in files of either architecture.
SYNONYMS = {"ps": "patch_size", "n_cross": "n_cross_layers", "matrix_v": "V", "n_axes": "K"}

# What the trainers write, or let their users set, about data, schedule, loss, files and uploads; whatever
# begins with one of the prefixes is about how a data set of tokens or of bytes was made.
DESCRIPTIONS = frozenset(
    key
    for group in (
        "dataset img_size image_size batch_size lr epochs epoch step steps max_steps seed num_workers",
        "target_cv cv_weight boost sigma cv_band_lo cv_band_hi loss_mode div_weight grad_clip",
        "pretrained curriculum tier_schedule allowed_types ds_size val_size noise_types noise_names",
        "tree_depth",
        "subgroup variant battery_id name description source normalize test_mse val_mse test_cos",
        "hf_version hf_repo save_dir save_every tb_dir report_every val_every upload",
        "build_codebook build_topology _epoch _test_mse _path _model_type",
    )
    for key in group.split()
)
DESCRIBING_PREFIXES = ("sp_", "bt_")


@dataclass(frozen=True)
class Kind:
    """What the values of a key may be."""

    expected: str

    def accepts(self, value: Any) -> bool:
        """Whether the value is one of them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Whole(Kind):
    """Whole numbers from ``least`` to ``most``."""

    least: int
    most: int

    def accepts(self, value: Any) -> bool:
        """Numbers of type int only, see :func:`whole`."""
        return type(value) is int and self.least <= value <= self.most


@dataclass(frozen=True)
class Among(Kind):
    """A few values; 1 is not True here, and 1.0 is 1."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        """Whether it is one of them, of the same type but for numbers."""
        return any(isinstance(value, bool) == isinstance(v, bool) and value == v for v in self.values)


@dataclass(frozen=True)
class Positive(Kind):
    """Finite numbers above 0."""

    def accepts(self, value: Any) -> bool:
        """Numbers, not truth values."""
        return type(value) in (int, float) and isfinite(value) and value > 0


def number(default: int | None = MISSING, least: int = 1, most: int = LARGEST) -> Any:
    """A field of whole numbers; without a default the key must be there."""
    return field(default=default, metadata={"kind": Whole(f"{least} to {most}", least, most)})


def choice(default: Any, values: Iterable[Any]) -> Any:
    """A field of a few values."""
    return field(default=default, metadata={"kind": among(values)})


def among(values: Iterable[Any]) -> Among:
    """The kind of a few values."""
    values = tuple(values)
    return Among("one of " + ", ".join(map(repr, values)) if len(values) > 1 else repr(values[0]), values)


def positive(default: float) -> Any:
    """A field of positive numbers."""
    return field(default=default, metadata={"kind": Positive("a number above 0")})


@dataclass(frozen=True)
class Config:
    """What both architectures' configs do; see :class:`~.patch_svae.SVAEConfig`.

    Class attributes:
        model_type: as in files.
        required: keys without which a file is not of this architecture.
        inert: keys that do not change the function but for rounding, and the kinds of their known values.
    """

    model_type: ClassVar[str]
    required: ClassVar[tuple[str, ...]]
    inert: ClassVar[Mapping[str, Kind]]

    def __post_init__(self) -> None:
        for f in fields(self):
            value, kind = getattr(self, f.name), f.metadata.get("kind")
            if kind and value is not None and not kind.accepts(value):
                raise refused(f.name, value, kind)
        if self.parameters > LARGEST_MODEL:
            raise InputError(
                f"model config describes {self.parameters:,} weights; expected at most {LARGEST_MODEL:,}"
            )

    @property
    def parameters(self) -> int:
        """Weights of the linear layers, roughly: what decides a model's size."""
        raise NotImplementedError

    @classmethod
    def from_mapping(cls, config: Mapping[str, Any]) -> Any:
        """Read a checkpoint's ``config``. An absent or null key has its default.

        Raises:
            InputError: a key is missing, its effect on the function or that of its value is not known, or a
                value is out of range. One line that names key, value and what is known.
        """
        given = _one_name_each(config)
        known = {f.name: f for f in fields(cls)}
        for key, value in given.items():
            if key in cls.inert and value is not None and not cls.inert[key].accepts(value):
                raise refused(key, value, cls.inert[key])
            if key not in (*known, *cls.inert, "model_type") and not describes(key):
                raise InputError(
                    f"model config has {printable(key, 60)}={printable(repr(value), 60)}, and what it does "
                    f"to the model's function is not known; {nearest(str(key), [*known, *cls.inert])}"
                )
        for key in cls.required:
            if given.get(key) is None:
                kind = cls.__name__.removesuffix("Config")
                raise InputError(f"the checkpoint's config has no {key!r}; it is not a {kind} checkpoint")
        kept = {key: whole(value) for key, value in given.items() if key in known and value is not None}
        return cls(**kept)

    def as_dict(self) -> dict[str, Any]:
        """The keys as a plain dictionary that JSON can hold and :meth:`from_mapping` reads."""
        return {**asdict(self), "model_type": self.model_type}

    def fill(self, **values: Any) -> None:
        """Give fields that are None their values; for defaults that depend on other fields."""
        for name, value in values.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)

    def check_heads(self) -> None:
        """Raises InputError: the attention's heads do not share the modes evenly."""
        if self.n_cross_layers and self.D % self.n_heads:
            raise InputError(
                f"model config has D={self.D} and n_heads={self.n_heads}; D must be a multiple of n_heads"
            )

    def check_rows(self) -> None:
        """Raises InputError: one value per row has no standard deviation."""
        if self.row_norm == "layernorm" and self.D == 1:
            raise InputError("model config has row_norm='layernorm' and D=1; expected D of 2 or more")


def describes(key: Any) -> bool:
    """Whether a key is known not to change the function."""
    return key in DESCRIPTIONS or str(key).startswith(DESCRIBING_PREFIXES)


def check_activations(named: Any, sites: Iterable[str]) -> dict[str, str]:
    """Activations by site, as a config gives them.

    Raises:
        InputError: it is no dictionary, or a site or a name is not known.
    """
    if not isinstance(named, Mapping):
        raise InputError(
            f"model config has activations={printable(repr(named), 60)}; expected names by site "
            f"({', '.join(sites)})"
        )
    for site, name in named.items():
        if site not in sites:
            raise refused("activations", {site: name}, Kind("the sites " + ", ".join(sites)))
        if name not in list(ACTIVATIONS):
            raise refused(f"activations[{site!r}]", name, among(ACTIVATIONS))
    return dict(named)


def refused(key: str, value: Any, kind: Kind) -> InputError:
    """The error for a value of a key that is not one of the known."""
    shown = printable(repr(value), 60)
    return InputError(f"model config has {printable(key, 80)}={shown}; expected {kind.expected}")


def _one_name_each(config: Mapping[str, Any]) -> dict[str, Any]:
    """The config with synonyms replaced. Raises InputError: two names of a key disagree."""
    given = {key: value for key, value in config.items() if key not in SYNONYMS}
    for other, key in SYNONYMS.items():
        value = config.get(other)
        if value is None:
            continue
        if given.get(key, value) not in (None, value):
            raise InputError(
                f"model config has {key}={printable(repr(given[key]), 60)} and "
                f"{other}={printable(repr(value), 60)}, two names of one thing; expected one value"
            )
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
