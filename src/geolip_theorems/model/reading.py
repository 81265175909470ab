"""Reading model files without running anything in them.

A ``.pt`` file is a pickle, which can name any function for the reader to call. Here it is read by
torch's restricted unpickler (``weights_only=True``); the NumPy scalars that such files hold are
decoded by a few lines of our own instead of by NumPy's, so no further library code can be reached.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..errors import InputError
from .config import SVAEConfig
from .patch_svae import PatchSVAE
from .writing import CONFIG_KEY

LARGEST_FILE = 8 << 30  # bytes; the largest published checkpoint is under 0.3 GB
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
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a ``.safetensors`` file or, for any other name, a ``.pt`` file in the public format.

    Raises:
        InputError: the file is missing, empty, truncated, damaged, too large, would have to run code to
            be read, or is not a PatchSVAE checkpoint. One line.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"model file {path.name!r} is not a file; give a .pt or .safetensors file")
        if path.stat().st_size > LARGEST_FILE:
            raise InputError(
                f"model file {path.name!r} has {path.stat().st_size:,} bytes; at most {LARGEST_FILE:,}"
            )
        sha256 = file_sha256(path)
    except OSError as error:
        raise InputError(f"model file {path.name!r} cannot be read: {error.strerror}") from None
    if path.suffix == ".safetensors":
        weights, config, facts = _read_safetensors(path)
    else:
        weights, config, facts = _read_pickle(path)
    return Checkpoint(_checked_weights(path.name, weights), config, sha256, facts)


def build_model(checkpoint: Checkpoint, name: str) -> PatchSVAE:
    """A PatchSVAE with the checkpoint's weights, in evaluation mode on the CPU.

    Raises:
        InputError: the config is not version 1's, or config and weights disagree; names the first
            parameter that is missing, unexpected or of another shape.
    """
    sizes = SVAEConfig.from_mapping(checkpoint.config)
    with torch.device("meta"):
        model = PatchSVAE(sizes)
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in checkpoint.weights.items()}
    for key in [*wanted, *found]:
        if wanted.get(key) != found.get(key):
            raise InputError(
                f"model {name!r}: config and weights disagree at {key}: the config wants "
                f"{wanted.get(key, 'no such parameter')}, the file has {found.get(key, 'no such parameter')}"
            )
    for key, value in checkpoint.weights.items():
        if not value.is_floating_point():
            raise InputError(f"model {name!r}: {key} is {value.dtype}; expected floating-point weights")
    weights = {key: value.float() for key, value in checkpoint.weights.items()}
    model.load_state_dict(weights, strict=True, assign=True)
    return model.eval().requires_grad_(False)


def _read_safetensors(path: Path) -> tuple[dict, dict, dict]:
    try:
        with safe_open(path, framework="pt") as file:
            weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"model file {path.name!r} is not a readable safetensors file: {_line(error)}"
        ) from None
    if CONFIG_KEY not in metadata:
        return weights, _infer_config(path.name, weights), {}
    try:
        config = json.loads(metadata[CONFIG_KEY])
    except json.JSONDecodeError as error:
        raise InputError(
            f"model file {path.name!r} has a damaged {CONFIG_KEY} entry: {_line(error)}"
        ) from None
    if not isinstance(config, dict):
        raise InputError(f"model file {path.name!r} has a {CONFIG_KEY} entry that is not a dictionary")
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
            f"model file {name!r} has no {CONFIG_KEY} entry and its weights are not a PatchSVAE's"
        ) from None


def _read_pickle(path: Path) -> tuple[dict, dict, dict]:
    _check_container(path)
    try:
        with torch.serialization.safe_globals(_numpy_scalars()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # The restricted unpickler meets damaged bytes with errors of every type, none of them documented.
        if "Unsupported global" in str(error) or "weights_only" in str(error):
            reason = "it holds more than weights and numbers, and reading it would run code"
            raise InputError(
                f"model file {path.name!r} is refused: {reason} ({_global_name(error)})"
            ) from None
        raise InputError(
            f"model file {path.name!r} is truncated, damaged or no checkpoint: {_line(error)}"
        ) from None
    return _split_content(path.name, content)


def _split_content(name: str, content: Any) -> tuple[dict, dict, dict]:
    if not isinstance(content, dict):
        raise InputError(f"model file {name!r} holds a {type(content).__name__}; {FOREIGN}")
    missing = [key for key in ("model_state_dict", "config") if not isinstance(content.get(key), dict)]
    if missing:
        keys = ", ".join(map(repr, list(content)[:5]))
        raise InputError(
            f"model file {name!r} has no {' and no '.join(missing)} (its keys: {keys}); {FOREIGN}"
        )
    facts = {key: content[key] for key in ("epoch", "test_mse") if isinstance(content.get(key), (int, float))}
    return content["model_state_dict"], content["config"], facts


def _check_container(path: Path) -> None:
    """Refuse archives that would unpack to more than they weigh: torch writes its entries uncompressed."""
    if not zipfile.is_zipfile(path):
        return  # the format before torch 1.6, a bare pickle, is for the unpickler to judge
    try:
        entries = zipfile.ZipFile(path).infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"model file {path.name!r} is a damaged archive: {_line(error)}") from None
    packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
    if packed or sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise InputError(
            f"model file {path.name!r} is a compressed archive; torch.save writes uncompressed ones"
        )


class _NumpyDtype:
    """Stands for a pickled ``numpy.dtype`` of a plain number: a type code and a byte order."""

    def __init__(self, code: Any, *_: Any) -> None:
        self.code, self.order = str(code), "<"

    def __setstate__(self, state: Any) -> None:
        if state[1] in ("<", ">"):
            self.order = state[1]


_STRUCT_CODES = {
    "f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b",
    "u8": "Q", "u4": "I", "u2": "H", "u1": "B", "b1": "?",
}  # fmt: skip


def _numpy_scalar(dtype: _NumpyDtype, data: Any) -> float | int | bool:
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    return struct.unpack(dtype.order + _STRUCT_CODES[dtype.code], raw)[0]


def _numpy_scalars() -> list:
    return [
        (_numpy_scalar, "numpy.core.multiarray.scalar"),
        (_numpy_scalar, "numpy._core.multiarray.scalar"),
        (_NumpyDtype, "numpy.dtype"),
    ]


def _checked_weights(name: str, weights: Mapping[Any, Any]) -> dict[str, Tensor]:
    """The state dict, if it holds dense tensors and nothing else, all of them finite."""
    for key, value in weights.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise InputError(f"model file {name!r} has a state dict entry {key!r} that is no tensor")
        if value.layout is not torch.strided or value.is_quantized:
            raise InputError(
                f"model file {name!r}: {key} is a {value.dtype} {value.layout} tensor; expected dense"
            )
        if not torch.isfinite(value).all():
            count = int((~torch.isfinite(value)).sum())
            raise InputError(
                f"model file {name!r}: {key} has {count} non-finite values; the weights are unusable"
            )
    return dict(weights)


def _line(error: BaseException) -> str:
    """The first line of an error's text, short; its type where the text is no sentence."""
    text = (str(error).strip().splitlines() or [""])[0]
    return text[:160] if " " in text else type(error).__name__


def _global_name(error: BaseException) -> str:
    words = str(error).split()
    return "it names " + words[words.index("GLOBAL") + 1] if "GLOBAL" in words else "blocked by weights_only"
