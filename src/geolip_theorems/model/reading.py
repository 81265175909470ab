"""Reading model files without running anything in them, and without trusting what they claim.

Two formats: ``torch.save``'s, whose pickle :mod:`.pickled` reads, and safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from ..errors import InputError, printable, reason, shown
from ..files import open_regular
from .architectures import PatchModel, architecture_named, whole
from .pickled import ForbiddenError, StoredTensor, UnreadableError, read_pickled
from .writing import CONFIG_KEY

LARGEST_FILE = 8 << 30  # bytes; the largest published checkpoint is under 0.3 GB
LARGEST_HEADER = 4 << 20  # bytes of a safetensors header; a PatchSVAE's has some 10 kB
MOST_TENSORS = 10_000  # of a state dict; each takes 1 kB, however small
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
OTHERS = (torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)
LARGEST_IMAGE = 4096  # pixels a side
DEEPEST_CONFIG, LARGEST_CONFIG, LONGEST_TEXT = 8, 10_000, 4_000
CHARACTERS = 100  # of text that count as one entry of LARGEST_CONFIG
FOREIGN = "expected a PatchSVAE checkpoint: a dictionary with model_state_dict and config"


@dataclass(frozen=True)
class Checkpoint:
    """A model file's contents: ``weights`` by public name, ``config`` as it stands there."""

    weights: dict[str, Tensor]
    config: dict[str, Any]
    sha256: str
    facts: dict[str, Any] = field(default_factory=dict)  # epoch and test_mse where the file has them


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with open(path, "rb") as file:
        return _sha256(file)


def _sha256(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _shown(path: Path) -> str:
    return repr(printable(path.name, 200))


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.safetensors`` file or, for any other name, a ``.pt`` file in the public format.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, too large, would have to run code to
            be read, or is not a PatchSVAE checkpoint. One line.
    """
    path = Path(path)
    with open_regular(path, "model file", LARGEST_FILE) as file:
        try:
            sha256 = _sha256(file)
        except OSError as error:
            raise InputError(f"model file {_shown(path)} cannot be read: {error.strerror}") from None
        if path.suffix == ".safetensors":
            weights, config, facts = _read_safetensors(path, file)
        else:
            weights, config, facts = _read_pickle(_shown(path), file)
    checked = _checked_weights(_shown(path), weights)
    return Checkpoint(
        checked, _plain_config(_shown(path), config), sha256, _plain_config(_shown(path), facts)
    )


def build_model(checkpoint: Checkpoint, name: str) -> PatchModel:
    """A built-in model with the checkpoint's weights, in evaluation mode on the CPU.

    Raises:
        InputError: the config is refused, or config and weights disagree; names the first
            parameter that is missing, unexpected or of another shape.
    """
    architecture = architecture_named(checkpoint.config.get("model_type", "v1"))
    config = architecture.read_config(checkpoint.config)
    with torch.device("meta"):
        model = architecture.build(config)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in checkpoint.weights.items()}
    for key in [*wanted, *found]:
        if wanted.get(key) != found.get(key):
            raise InputError(
                f"model {name!r}: config and weights disagree at {printable(key, 80)}: the config wants "
                f"{wanted.get(key, 'no such parameter')}, the file has {found.get(key, 'no such parameter')}"
            )
    for key, value in checkpoint.weights.items():
        if not value.is_floating_point():
            raise InputError(f"model {name!r}: {key} is {value.dtype}; expected floating-point weights")
    weights = {key: value.float() for key, value in checkpoint.weights.items()}
    for key, value in weights.items():  # a float64 may be too large for a float32
        if not torch.isfinite(value).all():
            raise InputError(f"model {name!r}: {key} has values beyond float32; the weights are unusable")
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _read_safetensors(path: Path, file: BinaryIO) -> tuple[dict, dict, dict]:
    name = _shown(path)
    file.seek(0)
    header = int.from_bytes(file.read(8), "little")
    if header > LARGEST_HEADER:
        raise InputError(
            f"model file {name} is not a readable safetensors file: it claims a header of {header:,} bytes; "
            f"expected at most {LARGEST_HEADER:,}"
        )
    try:
        with safe_open(path, framework="pt") as opened:
            keys = opened.keys()
            if len(keys) > MOST_TENSORS:
                raise ValueError(f"it holds over {MOST_TENSORS:,} tensors")
            weights = {key: opened.get_tensor(key) for key in keys}
            metadata = opened.metadata() or {}
    except Exception as error:  # besides SafetensorError whatever torch says of a type it does not know
        raise InputError(f"model file {name} is not a readable safetensors file: {reason(error)}") from None
    if CONFIG_KEY not in metadata:
        return weights, _infer_config(name, weights), {}
    try:
        config = json.loads(metadata[CONFIG_KEY])
    except (ValueError, RecursionError) as error:
        raise InputError(f"model file {name} has a damaged {CONFIG_KEY} entry: {reason(error)}") from None
    if not isinstance(config, dict):
        raise InputError(f"model file {name} has a {CONFIG_KEY} entry that is not a dictionary")
    return weights, config, {}


def _infer_config(name: str, weights: Mapping[str, Tensor]) -> dict[str, int]:
    """The sizes of a bare state dict, from the shapes; the number of heads is the default."""

    def count(prefix: str) -> int:
        return len({key.split(".")[1] for key in weights if key.startswith(prefix)})

    try:
        hidden, patch_values = weights["enc_in.weight"].shape
        modes = weights["cross_attn.0.alpha_logits"].shape[0]
        return {
            "V": weights["enc_out.weight"].shape[0] // modes,
            "D": modes,
            "patch_size": round((patch_values / 3) ** 0.5),
            "hidden": hidden,
            "depth": count("enc_blocks."),
            "n_cross_layers": count("cross_attn."),
            "smooth_mid": weights["boundary_smooth.net.0.weight"].shape[0],
        }
    except (KeyError, ValueError, IndexError, ZeroDivisionError):
        raise InputError(
            f"model file {name} has no {CONFIG_KEY} entry and its weights are not a PatchSVAE's"
        ) from None


def _read_pickle(name: str, file: BinaryIO) -> tuple[dict, dict, dict]:
    try:
        content, tensor = read_pickled(file)
        weights, config, facts = _split_content(name, content)
        if len(weights) > MOST_TENSORS:
            raise UnreadableError(f"its state dict holds over {MOST_TENSORS:,} entries")
        made = {
            key: tensor(value) if isinstance(value, StoredTensor) else value for key, value in weights.items()
        }
    except ForbiddenError as error:
        why = "it holds more than weights and numbers, and reading it would run code"
        raise InputError(f"model file {name} is refused: {why} ({error})") from None
    except UnreadableError as error:
        raise InputError(f"model file {name} is truncated, damaged or no checkpoint: {error}") from None
    return made, config, facts


def _split_content(name: str, content: Any) -> tuple[dict, dict, dict]:
    if not isinstance(content, dict):
        kind = "Tensor" if isinstance(content, StoredTensor) else type(content).__name__
        raise InputError(f"model file {name} holds a {kind}; {FOREIGN}")
    missing = [key for key in ("model_state_dict", "config") if not isinstance(content.get(key), dict)]
    if missing:
        keys = ", ".join(shown(key, 40) for key in list(content)[:5])
        raise InputError(f"model file {name} has no {' and no '.join(missing)} (its keys: {keys}); {FOREIGN}")
    facts = {key: content[key] for key in ("epoch", "test_mse") if isinstance(content.get(key), (int, float))}
    return content["model_state_dict"], content["config"], facts


def _checked_weights(name: str, weights: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The state dict, if it holds dense tensors of ordinary numbers and nothing else, all of them finite."""
    for key, value in weights.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(
                f"model file {name} has a state dict entry {shown(key, 80)} that is no tensor; {FOREIGN}"
            )
        if value.dtype not in FLOATS + OTHERS:
            raise InputError(
                f"model file {name}: {printable(key, 80)} is {value.dtype}; expected floating-point weights "
                "of 16, 32 or 64 bits"
            )
        if value.dtype in FLOATS and not torch.isfinite(value).all():
            count = int((~torch.isfinite(value)).sum())
            raise InputError(
                f"model file {name}: {printable(key, 80)} has {count} non-finite values; the weights are "
                "unusable"
            )
    return dict(weights)


def _plain_config(name: str, config: Mapping[Any, Any]) -> dict[str, Any]:
    """A config as JSON can hold it; what is no number, text, list or dictionary becomes its type's name.

    Raises:
        InputError: it is nested or long beyond reason, or its ``img_size`` is no image size.
    """
    left = LARGEST_CONFIG  # counted down by what shared parts unfold to

    def text(value: str, longest: int) -> str:
        nonlocal left
        value = printable(value, longest)
        left -= len(value) // CHARACTERS
        return value

    def plain(value: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if left < 0 or depth > DEEPEST_CONFIG:
            raise InputError(
                f"model file {name} has a config of over {LARGEST_CONFIG:,} entries, {CHARACTERS} characters "
                f"of text counting as one, or nested over {DEEPEST_CONFIG} deep; {FOREIGN}"
            )
        if isinstance(value, dict):
            if unfit := [key for key in value if not isinstance(key, (str, int, float))]:
                kind = type(unfit[0]).__name__
                raise InputError(f"model file {name} has a config with a {kind} for a key; expected text")
            return {text(str(key), 200): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [plain(item, depth + 1) for item in value]
        if isinstance(value, str):
            return text(value, LONGEST_TEXT)
        if isinstance(value, int) and abs(value) >= 1 << 63:
            return f"(a number of {value.bit_length()} bits)"
        return value if value is None or isinstance(value, (int, float)) else f"({type(value).__name__})"

    found = plain(dict(config), 0)
    size = whole(found.get("img_size"))
    if size is not None and (type(size) is not int or not 1 <= size <= LARGEST_IMAGE):
        raise InputError(
            f"model file {name} has a config with img_size={shown(size, 60)}; expected 1 to {LARGEST_IMAGE} "
            "pixels"
        )
    return {**found, "img_size": size} if "img_size" in found else found
