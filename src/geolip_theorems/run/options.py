"""The options of a run: one table, of which pytest, the commands, ``theorems.toml`` and RunOptions are made.

Defaults are applied when options are read, so that what was given can be told from what was not. No torch and
no NumPy: a help text needs neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..compare.baselines import FOLDER as BASELINES
from ..data.sources import names as datasets
from ..extraction import DEFAULT_LIMIT_GB
from ..io.errors import InputError
from ..io.places import part
from ..probes import PROBES
from ..results.comparison import FAIL_ON

ENGINES = ("local", "ray")
DEFAULT_ABLATION_IMAGES = 256
DEFAULT_CONTROLS = 10
LARGEST_SEED = 2**32 - 1  # what every generator takes, with room for the seeds derived from it
EXPECTATIONS = part("fixtures") / "expectations.toml"
ALL, AUTO = "all", "auto"  # in place of a number
RUNNER = "geolip-theorems-run"  # as which the command's own plugin is known to pytest


def _whole(least: int, most: float = math.inf, word: str | None = None) -> Callable[[str], int | str]:
    """A type for argparse, which names it where a value does not fit: a whole number, or a word."""

    def convert(text: str) -> int | str:
        if text == word:
            return text
        if not least <= int(text) <= most:
            raise ValueError
        return int(text)

    to = "" if most == math.inf else f" to {most}"
    convert.__name__ = f"whole number from {least}{to}" + (f", or {word}," if word else "")
    return convert


def _gigabytes(text: str) -> float:
    if not 0 <= float(text) < math.inf:
        raise ValueError
    return float(text)


_gigabytes.__name__ = "number of gigabytes from 0"


def _value(
    about: str, metavar: str | None = None, default: Any = None, kind: Callable = str, **more: Any
) -> dict[str, Any]:
    """What argparse is told of an option with a value."""
    return {"type": kind, "default": default, "metavar": metavar, "help": about, **more}


def _switch(about: str) -> dict[str, Any]:
    return {"action": "store_true", "default": False, "help": about}


SUBJECT_OPTIONS = {
    "--model": _value(
        "auto (default), a name, PUBLISHED@REVISION, hf://owner/repo/file@revision, a .pt or .safetensors "
        "file, random:MODEL for fresh weights of its shape, or MODULE:FUNCTION for a function that returns "
        "an nn.Module, which runs your code; may be repeated",
        "MODEL",
        action="append",
    ),
    "--dataset": _value(
        f"{', '.join(datasets())} (default auto), a folder or an .npz file; may be repeated",
        "DATA",
        action="append",
    ),
}
RUN_OPTIONS = {
    "--profile": _value("of theorems.toml: use the settings of this name there", "NAME"),
    "--device": _value("auto (default), cpu, cuda, cuda:N or mps", default="auto"),
    "--seed": _value(
        "of splits, resampling and random weights (default 0)", default=0, kind=_whole(0, LARGEST_SEED)
    ),
    "--implementation": _value("auto (default), builtin, or geolip for the original package", default="auto"),
    "--offline": _switch("never use the network"),
    "--image-size": _value("side of the images (default: the model's, or 64)", "PIXELS", kind=_whole(1)),
    "--normalize": _value("none, imagenet or MEAN/STD (default: what the model was trained with)", "HOW"),
    "--max-images": _value("measure the first N images (default: all)", "N", kind=_whole(1)),
    "--data-root": _value("folder of CIFAR-10 (default: the user's cache)", "DIR", kind=Path),
    "--ablation-images": _value(
        f"images whose modes are ablated, or all (default {DEFAULT_ABLATION_IMAGES})",
        "N",
        DEFAULT_ABLATION_IMAGES,
        _whole(0, word=ALL),
    ),
    "--probe": _value(
        "readout of the questions that train one: ridge (default), banded kernel ridge; or conv",
        default="ridge",
        choices=PROBES,
    ),
    "--controls": _value(
        f"random-weight twins to compare with, at least (default {DEFAULT_CONTROLS}); 0 for none",
        "N",
        DEFAULT_CONTROLS,
        _whole(0),
    ),
    "--group-duplicates": _switch("make groups of images that show nearly the same, within two pixels"),
    "--thresholds": _value("TOML file with thresholds that replace the built-in ones", "FILE", kind=Path),
    "--expectations": _value(
        "TOML file of verdicts expected not to hold (default: the suite's own)", "FILE", EXPECTATIONS, Path
    ),
    "--strict-verdicts": _switch("fail on an inconclusive or not measured verdict instead of skipping"),
}
# How the maps are computed; no figure depends on these.
ENGINE_OPTIONS = {
    "--batch-size": _value(
        "images in the works at once, or auto (default): as many as threads and memory allow",
        "N",
        AUTO,
        _whole(1, word=AUTO),
    ),
    "--workers": _value(
        "processes that extract, one a GPU where there are any (default 0: this one)", "N", 0, _whole(0)
    ),
    "--engine": _value("local (default), or ray for a Ray cluster", default="local", choices=ENGINES),
    "--ray-address": _value("of a running Ray cluster (default: start Ray on this machine)", "ADDRESS"),
}
OUTPUT_OPTIONS = {
    "--report-dir": _value(
        "where results.json goes (default reports/latest)", "DIR", Path("reports/latest"), Path
    ),
    "--no-report": _switch("write results.json and its arrays, and no report.html"),
    "--baseline": _value(
        "compare with this run, a results.json or a name given to --save-baseline: tests of every verdict "
        "and metric that fail where one got worse",
        "RUN",
    ),
    "--fail-on": _value(
        "what fails against a baseline: what is worse for certain (regression, default), also a verdict "
        "worse within chance (flip), nothing (never)",
        default="regression",
        choices=FAIL_ON,
    ),
    "--save-baseline": _value(f"keep this run under {BASELINES}/NAME for later comparisons", "NAME"),
    "--cache-dir": _value("folder of the cache of maps (default: the user's cache folder)", "DIR", kind=Path),
    "--cache-limit": _value(
        f"remove what was used longest ago above this size (default {DEFAULT_LIMIT_GB:g})",
        "GB",
        DEFAULT_LIMIT_GB,
        _gigabytes,
    ),
    "--no-cache": _switch("use a temporary cache that is removed at the end"),
    "--refresh-cache": _switch("extract again what is in the cache"),
}
ALL_OPTIONS = {**SUBJECT_OPTIONS, **RUN_OPTIONS, **ENGINE_OPTIONS, **OUTPUT_OPTIONS}


def undefaulted(keywords: dict[str, Any]) -> dict[str, Any]:
    """What ``add_argument`` is told of an option: without its default, so that None says it was not given."""
    return {**keywords, "default": None}


@dataclass(frozen=True)
class RunOptions:
    """Everything a run's figures depend on besides model and images: the options of the same names.

    ``device`` is one that is there; None is all images, the default data root, what the model was trained
    with, or as large a batch as threads and memory allow. Of the twins up to ``control_images`` are measured,
    an even spread over groups and classes. Batch size, workers and engine show in no figure, but for last
    bits on a GPU.
    """

    device: str = "cpu"
    seed: int = 0
    implementation: str = "auto"
    offline: bool = False
    image_size: int | None = None
    normalize: str | None = None
    group_duplicates: bool = False
    max_images: int | None = None
    data_root: Path | None = None
    ablation_images: int | None = DEFAULT_ABLATION_IMAGES
    probe: str = "ridge"
    controls: int = DEFAULT_CONTROLS
    control_images: int = 512
    batch_size: int | None = None
    workers: int = 0
    engine: str = "local"
    ray_address: str | None = None


def read_options(get: Callable[[str], Any]) -> RunOptions:
    """The options that ``get`` gives by their flags.

    Raises:
        InputError: a device that is not there, or an address without the engine it is of.
    """
    if get("--ray-address") and get("--engine") != "ray":
        raise InputError("--ray-address is for --engine ray; give both or neither")
    flags = {field.name: f"--{field.name.replace('_', '-')}" for field in fields(RunOptions)}
    values = {name: get(flag) for name, flag in flags.items() if flag in ALL_OPTIONS}
    for name, word in (("ablation_images", ALL), ("batch_size", AUTO)):
        values[name] = None if values[name] == word else values[name]
    return RunOptions(**{**values, "device": resolve_device(values["device"])})


def check_seed(seed: int) -> None:
    """Raise ``InputError`` unless the seed is a whole number from 0 to 2^32 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise InputError(f"the seed is {seed!r}; expected a whole number from 0 to {LARGEST_SEED}")


def resolve_device(name: str) -> str:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` as a device that is there.

    Raises:
        InputError: a name torch does not know, or a device this machine does not have.
    """
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise InputError(f"device {name!r} is not known; expected auto, cpu, cuda, cuda:N or mps")
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(name.partition(":")[2] or 0) >= count:
            raise InputError(
                f"device {name!r} is not there: torch {torch.__version__} sees {count} CUDA devices; "
                "use --device cpu, or install a CUDA build of torch and its driver"
            )
    if name == "mps" and not torch.backends.mps.is_available():
        raise InputError("device 'mps' is not there: torch sees no Apple GPU; use --device cpu")
    return name
