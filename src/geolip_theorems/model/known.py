"""The models ``--model`` knows by name, apart from those published; no torch, so that they can be listed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from .published import PUBLISHED

if TYPE_CHECKING:
    from .codecs import Codec, CodecConfig, Reference

EMBEDDED = {"freckles_embedded": "freckles_embedded.safetensors"}
PREFIX = "codec:"
RANDOM = "random:"
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
