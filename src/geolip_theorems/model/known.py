"""The models ``--model`` knows by name, apart from those published; no torch, so that they can be listed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ..io.errors import InputError, printable, unknown
from .published import PUBLISHED

EMBEDDED = {"freckles_embedded": "freckles_embedded.safetensors"}
PREFIX = "codec:"
RANDOM = "random:"
ADDRESS = "hf://"
SUFFIXES = (".pt", ".pth", ".ckpt", ".safetensors")
FUNCTION = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


class CodecEntry(NamedTuple):
    """A line about a codec, its own option with default and range (None: the values of a patch)."""

    about: str
    option: str
    default: float
    range: tuple[float, float | None]
    whole: bool


CODECS = {
    "pca": CodecEntry("each patch projected on d principal components", "d", 4, (1, None), whole=True),
    "jpeg": CodecEntry("JPEG at quality q", "q", 50, (1, 100), whole=True),
    "blur": CodecEntry("a Gaussian blur of sigma pixels", "sigma", 1.5, (0.2, 32.0), whole=False),
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
    """The file that a name is the path of. Raises InputError: it is none that is there."""
    path = Path(source).expanduser()
    if os.path.exists(path):  # to Path.exists a name that is too long is an OSError
        return path
    if path.suffix in SUFFIXES or "/" in source:
        raise InputError(
            f"model file {printable(source, 200)!r} does not exist; give the path of a .pt or "
            ".safetensors file"
        )
    raise unknown("model", source, ["auto", *EMBEDDED, *PUBLISHED, *codec_names()])


def codec_names() -> dict[str, str]:
    """``codec:NAME`` of every codec, with a line about it and its options."""
    return {
        f"{PREFIX}{name}": f"{entry.about}: {PREFIX}{name}:{entry.option}={entry.default:g} (default), or "
        f"{PREFIX}{name}:mse=0.002 for a mean error"
        for name, entry in CODECS.items()
    }
