"""From what a user writes after ``--model`` to a model in memory.

``auto``, an embedded name, a published version (``v40_freckles_noise``, optionally ``@revision``),
``hf://owner/repo/path/file@revision``, a local file, ``random:`` before any of these for the same shape with
fresh weights, ``codec:NAME`` (codecs.py), and ``module:function``.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..io.errors import InputError, nearest, printable, reason, unknown
from ..io.places import part
from . import codecs, hub
from .architectures import ARCHITECTURES, Config, PatchModel, architecture_named, model_type_of, read_config
from .foreign import load_with_geolip
from .known import ADDRESS, CODECS, EMBEDDED, PREFIX, RANDOM, is_function, local_file
from .published import PUBLISHED, place, trained_normalization
from .reading import build_model, read_checkpoint
from .threads import one_thread, seeded

AUTO_FIRST = "v40_freckles_noise"
AUTO_ELSE = "freckles_embedded"
AUTO_DEADLINE_S = 10.0
IMPLEMENTATIONS = ("auto", "builtin", "geolip")
EXPECTED = "expected module:function, a function without arguments that returns an nn.Module"


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode and where it came from.

    Attributes:
        name: short and readable, no path: used in test ids.
        source: where the weights are from, for the record.
        sha256: of the file, of fresh weights themselves, or of a codec's settings and what was fitted.
        implementation: ``builtin``, ``geolip``, ``codec``, or the package of a module of one's own.
        normalize: the input normalisation the version was trained with.
        substitute_for: what was asked for when this model stands in for it, with the reason.
    """

    model: nn.Module
    name: str
    source: str
    sha256: str
    implementation: str
    config: dict[str, Any]
    normalize: str = "none"
    substitute_for: str | None = None


def load_model(source: str = "auto", **options: Any) -> tuple[nn.Module, dict[str, Any]]:
    """A model in evaluation mode, and its config; arguments and errors are those of :func:`open_model`."""
    loaded = open_model(source, **options)
    return loaded.model, loaded.config


def open_model(
    source: str,
    *,
    device: str | torch.device = "cpu",
    implementation: str = "auto",
    offline: bool = False,
    seed: int = 0,
) -> LoadedModel:
    """Load a model with everything a record says about it.

    Args:
        source: as after ``--model``, see the module.
        implementation: ``builtin``, ``geolip`` (the original package reads the file, after our own
            reader has accepted it), or ``auto``: geolip for what is not built in, if installed.
        offline: do not touch the network; the hub's cache is still read.
        seed: of fresh weights, for ``random:``.

    Raises:
        InputError: unknown name, missing or unusable file, no network, or a package that is missing.
    """
    if implementation not in IMPLEMENTATIONS:
        raise unknown("implementation", implementation, IMPLEMENTATIONS)
    if source == "auto":
        loaded = _open_auto(implementation, offline)
    elif source.startswith(RANDOM):
        loaded = _open_random(source.removeprefix(RANDOM), offline, seed)
    elif source.startswith(PREFIX):
        loaded = _open_codec(source)
    elif is_function(source):
        loaded = loaded_module(own_model(source).eval(), _identifier(source), f"function {source}")
    else:
        loaded = _open_file(source, implementation, offline)
    return replace(loaded, model=loaded.model.to(device).eval())


def _open_file(source: str, implementation: str, offline: bool) -> LoadedModel:
    path, name, described, version = _locate(source, offline)
    checkpoint = read_checkpoint(path)
    config = checkpoint.described()
    if implementation == "auto":
        foreign = model_type_of(config) not in ARCHITECTURES
        implementation = "geolip" if foreign and hub.installed("geolip_svae") else "builtin"
    if implementation == "builtin":
        model = build_model(checkpoint, name)
        config = {**config, **model.config.as_dict()}
    else:
        model = load_with_geolip(path, checkpoint)
    normalize = trained_normalization(version, config)
    return LoadedModel(model, name, described, checkpoint.sha256, implementation, config, normalize)


def _open_auto(implementation: str, offline: bool) -> LoadedModel:
    try:
        hub.published_file(AUTO_FIRST, None, offline=offline, deadline_s=AUTO_DEADLINE_S)
    except InputError as error:
        loaded = _open_file(AUTO_ELSE, implementation, offline)
        return replace(loaded, substitute_for=f"{AUTO_FIRST}: {str(error).split(';')[0]}")
    return _open_file(AUTO_FIRST, implementation, offline)


def _open_random(source: str, offline: bool, seed: int) -> LoadedModel:
    """The shape of ``source`` with fresh weights. The seed alone decides them, not the global state."""
    if source.startswith(PREFIX):
        shown = printable(f"random:{source}", 100)
        raise InputError(f"model {shown!r}: a codec has no weights to draw; leave out random:")
    path, name, _, version = _locate(AUTO_ELSE if source == "auto" else source, offline)
    checkpoint = read_checkpoint(path)
    sizes = read_config(checkpoint.config)
    model = random_twin(sizes, seed)
    kept = {key: value for key, value in checkpoint.described().items() if key in ("img_size", "assumed")}
    config = {"img_size": 64, **kept, **sizes.as_dict()}
    described = f"fresh weights from seed {seed} in the shape of {name}"
    normalize = trained_normalization(version, checkpoint.config)
    sha256 = weights_sha256(model)
    return LoadedModel(model, f"random-{name}", described, sha256, "builtin", config, normalize)


def _open_codec(source: str) -> LoadedModel:
    model = codecs.open_codec(source)
    config, text = model.config.as_dict(), model.config.text
    sha256 = hashlib.sha256(f"{json.dumps(config)} {weights_sha256(model)}".encode()).hexdigest()
    described = f"{CODECS[model.config.codec].about}, {text}"
    return LoadedModel(model, _identifier(text), described, sha256, "codec", config)


def own_model(source: str) -> nn.Module:
    """The model that ``module:function`` returns; modules of the present folder are found too.

    This runs the user's code, so it is done only for what a person named, never for a name out of a file.
    """
    module_name, function_name = source.split(":")
    doing, function, model = f"module {module_name!r} cannot be imported:", None, None
    folder = str(Path.cwd())  # ``python -m pytest`` puts it on the path, ``pytest`` does not
    sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
        doing, function = "the function raised", getattr(module, function_name, None)
        model = function() if callable(function) else None
    except Exception as error:  # code of the user's may raise anything
        near = [] if function else get_close_matches(module_name, ("codec", "random"), 1)
        hint = f"did you mean '{near[0]}:{function_name}'?" if near else EXPECTED
        said = f"{doing} {type(error).__name__}: {reason(error)}"
        raise InputError(f"model {source!r}: {said}; {hint}") from error
    finally:
        sys.path.remove(folder)
    if not callable(function):
        known = [name for name, value in vars(module).items() if callable(value) and name[0] != "_"]
        said = f"module {module_name!r} has no function {function_name!r}"
        raise InputError(f"model {source!r}: {said}; {nearest(function_name, known)}")
    if not isinstance(model, nn.Module):
        found = printable(type(model).__name__, 80)
        raise InputError(f"model {source!r}: the function returned a {found}; {EXPECTED}")
    return model


def loaded_module(model: nn.Module, name: str, source: str) -> LoadedModel:
    """A module in memory. Raises InputError: it has no patch size, or weights that are not finite."""
    if not hasattr(model, "patch_size"):
        hint = "set the side of its patches in pixels, such as model.patch_size = 4"
        raise InputError(f"model {name!r} has no patch_size; {hint}")
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise InputError(f"model {name!r}: {key} has non-finite values; the weights are unusable")
    package = type(model).__module__.partition(".")[0]
    return LoadedModel(model, name, source, weights_sha256(model), package, architecture_config(model) or {})


def architecture_config(model: nn.Module) -> dict[str, Any] | None:
    """A model's ``config.as_dict()``, or None for a model that has none."""
    config = getattr(model, "config", None)
    return config.as_dict() if hasattr(config, "as_dict") else None


def random_twin(config: Config, seed: int) -> PatchModel:
    """A model with fresh weights from a seed, leaving torch's global generator as it was."""
    # On one thread: the orthogonal initialisation's last bits depend on how many there are.
    with one_thread(), seeded(seed):
        return architecture_named(config.model_type).build(config).eval().requires_grad_(False)


def weights_sha256(model: nn.Module) -> str:
    """:func:`tensors_sha256` of a model's parameters and buffers."""
    return tensors_sha256(model.state_dict())


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Hex SHA-256 over the names, shapes, dtypes and bytes of tensors, in the order of their names."""
    digest = hashlib.sha256()
    for key, value in sorted(tensors.items()):
        value = value.detach().cpu().contiguous()
        digest.update(f"{key}:{tuple(value.shape)}:{value.dtype};".encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return digest.hexdigest()


def _locate(source: str, offline: bool) -> tuple[Path, str, str, str | None]:
    """(file, short name, description for the record, published version or None)."""
    if source in EMBEDDED:
        return assets() / EMBEDDED[source], source, f"embedded file {EMBEDDED[source]}", None
    version, _, revision = source.partition("@")
    if version in PUBLISHED:
        path = hub.published_file(version, revision or None, offline=offline)
        described = f"hf://{'/'.join(place(version))}"
        return path, source, described + (f"@{revision}" if revision else ""), version
    if source.startswith(ADDRESS):
        path = hub.addressed_file(source, offline=offline)
        return path, _identifier(source.removeprefix(ADDRESS)), source, None
    path = local_file(source)
    return path, _identifier(path.stem), f"file {path.name}", None


def _identifier(text: str) -> str:
    """Letters, digits, dots, dashes and underscores only, so that a test id can be copied."""
    return re.sub(r"[^A-Za-z0-9._@-]+", "-", text).strip("-") or "model"


def assets() -> Path:
    """The folder of the embedded models."""
    return part("fixtures") / "assets"
