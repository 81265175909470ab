"""Reading model files without running anything in them, and without trusting what they claim.

Two formats: ``torch.save``'s, whose pickle :mod:`.pickled` reads, and safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from ..io.errors import InputError, printable, reason, shown
from ..io.files import hex_digest, open_regular
from ..io.pickles import NotPlainError
from .architectures import PatchModel, architecture_named, read_config, whole
from .pickled import MOST_DIMENSIONS, StoredTensor, read_pickled
from .writing import CONFIG_KEY

LARGEST_FILE = 8 << 30  # bytes; the largest published checkpoint is under 0.3 GB
LARGEST_HEADER = 4 << 20  # bytes of a safetensors header; a PatchSVAE's has some 10 kB
MOST_TENSORS = 10_000  # of a state dict; each takes 1 kB, however small
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OTHERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
LARGEST_IMAGE = 4096  # pixels a side
DEEPEST_CONFIG, LARGEST_CONFIG, LONGEST_TEXT = 8, 10_000, 4_000
CHARACTERS = 100  # of text that count as one entry of LARGEST_CONFIG
BARE = "bare state dict"
CONFIG_KEYS = (CONFIG_KEY, "config")  # of safetensors metadata
STATES = ("model_state_dict", "model_state")  # the names of the weights' entry
ALEPH_ONLY = {"codebook", "dec.weight", "code_proj.weight", "atoms"}  # no PatchSVAE has one of these
FACTS = {"epoch": "epoch", "val_mse": "test_mse", "test_mse": "test_mse"}  # the last one counts
Shapes = Mapping[str, tuple[int, ...]]
FOREIGN = (
    "expected a PatchSVAE checkpoint: a dictionary with config and model_state_dict or model_state, "
    "or the state dictionary alone"
)


@dataclass(frozen=True)
class Checkpoint:
    """A model file's contents.

    Attributes:
        weights: by public name.
        config: as it stands in the file, or as the shapes tell it where the file has none.
        sha256: of the file, hex.
        layout: one of ``STATES``, ``safetensors``, or ``BARE`` for either format without a config.
        facts: epoch and test_mse where the file has them.
        assumed: keys of a config that the shapes of a bare state dict do not tell, left at their defaults.
    """

    weights: dict[str, Tensor]
    config: dict[str, Any]
    sha256: str
    layout: str
    facts: dict[str, Any] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """What a record says of the file: config and facts, and what was assumed."""
        assumed = {"assumed": list(self.assumed)} if self.assumed else {}
        return {**self.config, **self.facts, **assumed}


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.safetensors`` file or, for any other name, a ``.pt`` file in the public format.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, too large, would have to run code to
            be read, or is not a PatchSVAE checkpoint. One line.
    """
    path = Path(path)
    name = f"model file {printable(path.name, 200)!r}"
    with open_regular(path, "model file", LARGEST_FILE) as file:
        sha256 = hex_digest(file)
        reader = _read_safetensors if path.suffix == ".safetensors" else _read_pickle
        read = reader(name, path, file)
    plain = {"config": _plain_config(name, read.config), "facts": _plain_config(name, read.facts)}
    return replace(read, sha256=sha256, **plain)


def build_model(checkpoint: Checkpoint, name: str) -> PatchModel:
    """A built-in model with the checkpoint's weights, in evaluation mode on the CPU.

    Raises:
        InputError: the config is refused, or config and weights disagree.
    """
    config = read_config(checkpoint.config)
    with torch.device("meta"):
        model = architecture_named(config.model_type).build(config)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in checkpoint.weights.items()}
    for key in [*wanted, *found]:
        if wanted.get(key) != found.get(key):
            raise InputError(
                f"model {name!r}: config and weights disagree at {printable(key, 80)}: the config wants "
                f"{wanted.get(key, 'no such parameter')}, the file has {found.get(key, 'no such parameter')}"
            )
    weights = {}
    for key, value in checkpoint.weights.items():
        if not value.is_floating_point():
            raise InputError(f"model {name!r}: {key} is {value.dtype}; expected floating-point weights")
        weights[key] = value.float()
        if not torch.isfinite(weights[key]).all():  # a float64 may be too large for a float32
            raise InputError(f"model {name!r}: {key} has values beyond float32; the weights are unusable")
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _read_safetensors(name: str, path: Path, file: BinaryIO) -> Checkpoint:
    file.seek(0)
    header = int.from_bytes(file.read(8), "little")
    try:
        if header > LARGEST_HEADER:
            raise ValueError(f"it claims a header of {header:,} bytes; expected at most {LARGEST_HEADER:,}")
        with safe_open(path, framework="pt") as opened:
            keys = opened.keys()
            if len(keys) > MOST_TENSORS:
                raise ValueError(f"it holds over {MOST_TENSORS:,} tensors")
            if any(len(opened.get_slice(key).get_shape()) > MOST_DIMENSIONS for key in keys):
                raise ValueError(f"a tensor has over {MOST_DIMENSIONS} dimensions")
            weights = {key: opened.get_tensor(key) for key in keys}
            metadata = opened.metadata() or {}
    except Exception as error:  # besides SafetensorError whatever torch says of a type it does not know
        raise InputError(f"{name} is not a readable safetensors file: {reason(error)}") from None
    weights = _checked_weights(name, weights)
    keys = [key for key in CONFIG_KEYS if key in metadata]
    if not keys:
        return _bare(name, weights, metadata)
    entry = f"{' or '.join(keys)} entry"
    try:
        config, *other = [json.loads(metadata[key]) for key in keys]
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} has a damaged {entry}: {reason(error)}") from None
    if not isinstance(config, dict):
        raise InputError(f"{name} has a {entry} that is not a dictionary")
    if other not in ([], [config]):
        raise InputError(f"{name} has {' and '.join(keys)} entries that differ; expected one")
    return Checkpoint(weights, config, "", "safetensors")


def _read_pickle(name: str, path: Path, file: BinaryIO) -> Checkpoint:
    try:
        content, tensor = read_pickled(file)
        entry = _entry(name, content)
        found = content if entry == BARE else content[entry]
        if len(found) > MOST_TENSORS:
            raise ValueError(f"its state dict holds over {MOST_TENSORS:,} entries")
        made = {key: tensor(v) if isinstance(v, StoredTensor) else v for key, v in found.items()}
    except InputError:
        raise
    except NotPlainError as error:
        why = "it holds more than weights and numbers, and reading it would run code"
        raise InputError(f"{name} is refused: {why} ({error})") from None
    except Exception as error:  # whatever reading damaged bytes raises
        raise InputError(f"{name} is truncated, damaged or no checkpoint: {reason(error)}") from None
    weights = _checked_weights(name, made)
    if entry == BARE:
        return _bare(name, weights, ())
    facts = {fact: content[key] for key, fact in FACTS.items() if isinstance(content.get(key), (int, float))}
    return Checkpoint(weights, content["config"], "", entry, facts)


def _entry(name: str, content: Any) -> str:
    """Under which key a checkpoint has its weights; ``BARE`` where it is these alone."""
    if not isinstance(content, dict):
        kind = "Tensor" if isinstance(content, StoredTensor) else type(content).__name__
        raise InputError(f"{name} holds a {kind}; {FOREIGN}")
    if content and all(isinstance(value, StoredTensor) for value in content.values()):
        return BARE
    states = [key for key in STATES if isinstance(content.get(key), dict)]
    if len(states) > 1:
        raise InputError(f"{name} has both {' and '.join(states)}; expected one of them")
    missing = [] if states else [STATES[0]]
    missing += [] if isinstance(content.get("config"), dict) else ["config"]
    if missing:
        keys = ", ".join(shown(key, 40) for key in list(content)[:5])
        raise InputError(f"{name} has no {' and no '.join(missing)} (its keys: {keys}); {FOREIGN}")
    return states[0]


def _bare(name: str, weights: dict[str, Tensor], beside: Iterable[str]) -> Checkpoint:
    """A state dict without a config; ``beside`` names other metadata, which is no place for one."""
    config, assumed = infer_config(name, weights)
    if stray := {*config, *assumed}.intersection(beside):
        raise InputError(
            f"{name} has {min(stray)!r} in its metadata but no {CONFIG_KEY}; expected the config as JSON "
            f"under {CONFIG_KEY}"
        )
    return Checkpoint(weights, config, "", BARE, {}, assumed)


def _checked_weights(name: str, weights: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The state dict, if it holds dense tensors of ordinary numbers and nothing else, all of them finite."""
    for key, value in weights.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(f"{name} has a state dict entry {shown(key, 80)} that is no tensor; {FOREIGN}")
        if value.dtype not in FLOATS + OTHERS:
            raise InputError(
                f"{name}: {printable(key, 80)} is {value.dtype}; expected floating-point weights of 16, 32 "
                "or 64 bits"
            )
        if value.dtype in FLOATS and not torch.isfinite(value).all():
            count = int((~torch.isfinite(value)).sum())
            raise InputError(
                f"{name}: {printable(key, 80)} has {count} non-finite values; the weights are unusable"
            )
    return dict(weights)


def _plain_config(name: str, config: Mapping[Any, Any]) -> dict[str, Any]:
    """A config as JSON can hold it; what is no number, text, list or dictionary becomes its type's name."""
    left = LARGEST_CONFIG  # counted down by what shared parts unfold to

    def plain(value: Any, depth: int, longest: int = LONGEST_TEXT) -> Any:
        nonlocal left
        left -= 1
        if isinstance(value, str):
            value = printable(value, longest)
            left -= len(value) // CHARACTERS
        if left < 0 or depth > DEEPEST_CONFIG:
            raise InputError(
                f"{name} has a config of over {LARGEST_CONFIG:,} entries, {CHARACTERS} characters of text "
                f"counting as one, or nested over {DEEPEST_CONFIG} deep; {FOREIGN}"
            )
        if isinstance(value, dict):
            if unfit := [type(key).__name__ for key in value if not isinstance(key, (str, int, float))]:
                raise InputError(f"{name} has a config with a {unfit[0]} for a key; expected text")
            return {plain(str(key), depth, 200): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item, depth + 1) for item in value]
        if isinstance(value, int) and abs(value) >= 1 << 63:
            return shown(value, 80)
        return value if isinstance(value, (str, int, float, type(None))) else f"({type(value).__name__})"

    found = plain(dict(config), 0)
    if found.get("img_size") is not None:
        size = found["img_size"] = whole(found["img_size"])
        if type(size) is not int or not 1 <= size <= LARGEST_IMAGE:
            raise InputError(
                f"{name} has a config with img_size={shown(size, 60)}; expected 1 to {LARGEST_IMAGE} pixels"
            )
    return found


def infer_config(name: str, weights: Mapping[str, Tensor]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The ``config`` that a state dict's shapes tell, and the keys of it that they do not tell.

    Raises:
        InputError: the names are not a PatchSVAE's or an AlephModel's, or the shapes can be those of
            models with different sizes.
    """
    shapes = {key: tuple(value.shape) for key, value in weights.items()}
    try:
        config, assumed = (_aleph if ALEPH_ONLY & {*shapes} else _patch_svae)(shapes, _sizes(name, shapes))
    except InputError:  # a ValueError too
        raise
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        raise InputError(
            f"{name} has no config and its weights are not a PatchSVAE's; expected a dictionary "
            "with config and model_state_dict or model_state, or a state dict with the public names"
        ) from None
    return config, (*assumed, *(["n_heads"] if _count(shapes, "cross_attn") else []))


def _patch_svae(shapes: Shapes, sizes: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    solver = "readout.weight" in shapes
    config = {**sizes, "linear_readout": solver, "svd_mode": "none" if solver else "default"}
    assumed = [] if solver else ["model_type", "linear_readout", "svd_mode"]
    return {**config, "match_params": True}, ["activations", "row_norm", *assumed]


def _aleph(shapes: Shapes, sizes: dict[str, int]) -> tuple[dict[str, Any], list[str]]:
    config: dict[str, Any] = {"model_type": "aleph", **sizes, "boundary_smooth": True, "address": "none"}
    assumed = ["activation", "row_norm"]
    if "codebook" in shapes:
        config |= {"address": "soft", "K": shapes["codebook"][0]}
        assumed += ["address", "address_tau"]
    if "dec.weight" in shapes:
        config["decode_mode"] = "tied"
    elif "atoms" in shapes:
        config |= {"decode_mode": "dict", "n_atoms": shapes["atoms"][0]}
        assumed += ["code_tau"]
    else:
        own = {"dec_hidden": shapes["dec_in.weight"][0], "dec_depth": _count(shapes, "dec_blocks")}
        config |= {"decode_mode": "mlp", **own}
    return config, assumed


def _sizes(name: str, shapes: Shapes) -> dict[str, int]:
    """What both architectures have."""

    def left_open(what: str) -> InputError:
        save = "save it as a dictionary with model_state_dict and config"
        return InputError(f"{name} has no config, and its shapes leave open how {what}; {save}")

    values, _ = shapes["enc_out.weight"]
    hidden, patch_values = shapes["enc_in.weight"]
    if "cross_attn.0.alpha_logits" in shapes:
        (modes,) = shapes["cross_attn.0.alpha_logits"]
    elif "codebook" in shapes:
        _, modes = shapes["codebook"]
    else:
        raise left_open(f"enc_out's {values} values are V x D (no cross_attn, no codebook)")
    if "boundary_smooth.net.0.weight" not in shapes:
        raise left_open(f"enc_in's {patch_values} values are channels x patch x patch (no boundary_smooth)")
    mid, channels, _, _ = shapes["boundary_smooth.net.0.weight"]
    side = isqrt(patch_values // channels)
    if values % modes or channels * side**2 != patch_values:
        raise ValueError("enc_out is no multiple of D, or the patch no square")
    return {
        "V": values // modes,
        "D": modes,
        "patch_size": side,
        "hidden": hidden,
        "depth": _count(shapes, "enc_blocks"),
        "channels": channels,
        "smooth_mid": mid,
        "n_cross_layers": _count(shapes, "cross_attn"),
    }


def _count(shapes: Shapes, prefix: str) -> int:
    return len({key.split(".")[1] for key in shapes if key.startswith(f"{prefix}.")})
