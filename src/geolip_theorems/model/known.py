"""The models ``--model`` knows by name, apart from those published; no torch, so that they can be listed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import InputError, printable, unknown
from .published import PUBLISHED

if TYPE_CHECKING:
    from .codecs import Codec, CodecConfig, Reference

EMBEDDED = {"freckles_embedded": "freckles_embedded.safetensors"}
PREFIX = "codec:"
RANDOM = "random:"
ADDRESS = "hf://"
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class CodecEntry:
    """A codec in the registry.

    Attributes:
        about: one line for people.
        option: the name of its own option; default: its value; range: the least and largest (None: the
            values of a patch). whole: whether it is a whole number.
        make: from a config and the reference to the model.
    """

    about: str
    option: str
    default: float
    range: tuple[float, float | None]
    whole: bool
    make: Callable[[CodecConfig, Reference], Codec]


def _lazily(name: str) -> Callable[[CodecConfig, Reference], Codec]:
    """A class of the module of codecs, which is imported when one is made."""

    def make(config: CodecConfig, reference: Reference) -> Codec:
        return getattr(import_module(".codecs", __package__), name)(config, reference)

    return make


CODECS: dict[str, CodecEntry] = {
    "pca": CodecEntry(
        "each patch projected on d principal components", "d", 4, (1, None), True, _lazily("Pca")
    ),
    "jpeg": CodecEntry("JPEG at quality q", "q", 50, (1, 100), True, _lazily("Jpeg")),
    "blur": CodecEntry("a Gaussian blur of sigma pixels", "sigma", 1.5, (0.2, 32.0), False, _lazily("Blur")),
}


def is_function(source: str) -> bool:
    """Whether a name has the form ``module:function``, which runs code of the user's."""
    return FUNCTION.fullmatch(source) is not None and not source.startswith((PREFIX, RANDOM))


def check_model(source: str) -> None:
    """Raise ``InputError`` for what ``--model`` knows no model by; looks at names and places alone."""
    bare = source.removeprefix(RANDOM)
    known = bare == "auto" or bare in EMBEDDED or bare.partition("@")[0] in PUBLISHED
    if bare.startswith(PREFIX):
        check_codec(bare.removeprefix(PREFIX).partition(":")[0])
    elif not known and not bare.startswith(ADDRESS) and not is_function(bare):
        local_file(bare)


def check_codec(name: str) -> None:
    """Raise ``InputError`` for a name that no codec has."""
    if name not in CODECS:
        raise unknown("codec", name, CODECS)


def local_file(source: str) -> Path:
    """The file that a name is the path of.

    Raises:
        InputError: it is none that is there.
    """
    path = Path(source).expanduser()
    if os.path.exists(path):  # to Path.exists a name that is too long is an OSError
        return path
    if path.suffix in SUFFIXES or "/" in source:
        raise InputError(
            f"model file {printable(source, 200)!r} does not exist; give the path of a .pt or "
            ".safetensors file"
        )
    raise unknown("model", source, names())


def codec_names() -> dict[str, str]:
    """``codec:NAME`` of every codec, with a line about it and its options."""
    return {
        f"{PREFIX}{name}": f"{entry.about}: {PREFIX}{name}:{entry.option}={entry.default:g} (default), or "
        f"{PREFIX}{name}:mse=0.002 for a mean error"
        for name, entry in CODECS.items()
    }


def names() -> list[str]:
    """Every name ``--model`` knows besides files and ``hf://`` addresses."""
    return ["auto", *EMBEDDED, *PUBLISHED, *codec_names()]
