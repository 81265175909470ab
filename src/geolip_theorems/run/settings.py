"""``theorems.toml``, or ``[tool.geolip-theorems]`` in ``pyproject.toml``: what is run in a project::

    models = ["my.pt"]
    datasets = ["mine/", "digits"]

    [options]                # of the command line, without their dashes
    max-images = 2000

    [thresholds]
    spatial_cv = 0.2

    [[expected]]             # as in an expectations file

    [profiles.nightly]       # any of these again, for --profile nightly
    datasets = ["cifar10"]

The command line wins over the profile, and the profile over the rest. Paths are relative to the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..io.errors import InputError, shown, unknown
from ..model.known import is_function
from .flags import ENGINE_OPTIONS, OUTPUT_OPTIONS, RUN_OPTIONS
from .thresholds import read_toml

FILE, PYPROJECT, TABLE = "theorems.toml", "pyproject.toml", "geolip-theorems"
LISTS = {"--model": "models", "--dataset": "datasets"}
PROFILE = "--profile"
ELSEWHERE = (PROFILE, "--thresholds", "--expectations")  # the last two have tables of their own here
KINDS = {"options": dict, "thresholds": dict, "expected": list, "models": list, "datasets": list}
OPTIONS = {
    flag.removeprefix("--"): keywords
    for flag, keywords in {**RUN_OPTIONS, **ENGINE_OPTIONS, **OUTPUT_OPTIONS}.items()
    if flag not in ELSEWHERE
}
TYPES = {str: "text", Path: "a path"}


@dataclass(frozen=True)
class Settings:
    """What a project says is run in it.

    Attributes:
        file: that says so; None where there is none.
        options: values by flag, as argparse would give them.
        thresholds: by claim.
        expected: tables of an expectations file.
    """

    file: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    expected: tuple[Any, ...] = ()


def load_settings(folder: Path, profile: str | None, models: Sequence[str] | None = None) -> Settings:
    """The settings of the project in a folder.

    Args:
        folder: where ``theorems.toml`` or ``pyproject.toml`` is looked for.
        profile: the name of one of its profiles, or None.
        models: those of the command line, which win; None where it names none.

    Raises:
        InputError: a file that cannot be read, both at once, an unknown key, profile or option, a value that
            an option does not take, or a model that would run code.
    """
    file, content = _content(folder)
    profiles = _table(content.pop("profiles", {}), f"{file}: profiles")
    if profile is not None and profile not in profiles:
        raise unknown(f"profile in {file}" if file else f"profile, there being no {FILE}", profile, profiles)
    layers = [_layer(content, file, folder)]
    layers += [
        _layer(_table(found, f"{file}: profile {name!r}"), file, folder) for name, found in profiles.items()
    ]
    used = [layers[0]] + [layer for name, layer in zip(profiles, layers[1:], strict=True) if name == profile]
    options = {flag: value for layer in used for flag, value in layer.options.items()}
    for name in filter(is_function, options.get("--model", ()) if models is None else ()):
        raise InputError(
            f"{file} names model {name!r}, a function, which would run code; name it on the command line: "
            f"--model {name}"
        )
    return Settings(
        file=file or None,
        options=options,
        thresholds={claim: number for layer in used for claim, number in layer.thresholds.items()},
        expected=tuple(entry for layer in used for entry in layer.expected),
    )


def _content(folder: Path) -> tuple[str, dict[str, Any]]:
    """The name of the file that holds settings, empty where there is none, and they."""
    own, shared = folder / FILE, folder / PYPROJECT
    table = read_toml(shared, "project").get("tool", {}).get(TABLE) if shared.is_file() else None
    if own.is_file() and table is not None:
        raise InputError(f"settings stand both in {FILE} and in {PYPROJECT}; keep one of them")
    if own.is_file():
        return FILE, read_toml(own, "settings")
    return ("", {}) if table is None else (PYPROJECT, dict(_table(table, f"{PYPROJECT}: tool.{TABLE}")))


def _table(found: Any, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise InputError(f"{where} is {shown(found, 60)}; expected a table")
    return found


def _layer(content: Mapping[str, Any], file: str, folder: Path) -> Settings:
    """The settings at the top of a file, or of one profile."""
    for key, value in content.items():
        if key not in KINDS:
            raise unknown(f"key in {file}", key, (*KINDS, "profiles"))
        if not isinstance(value, KINDS[key]):
            kind = "table" if KINDS[key] is dict else "list"
            raise InputError(f"{file}: {key} is {shown(value, 60)}; expected a {kind}")
    options = {}
    for flag, key in LISTS.items():
        if key in content:
            options[flag] = [_name(name, key, file, folder) for name in content[key]]
    for name, value in content.get("options", {}).items():
        if name not in OPTIONS:
            raise unknown(f"option in {file}", name, OPTIONS)
        options[f"--{name}"] = _value(name, value, file, folder)
    return Settings(file, options, content.get("thresholds", {}), tuple(content.get("expected", ())))


def _name(name: Any, key: str, file: str, folder: Path) -> str:
    """A model's or data set's name; of a file, its path from the present folder."""
    if not isinstance(name, str):
        raise InputError(f"{file}: {key} holds {shown(name, 60)}; expected names and paths")
    return _placed(name, folder)


def _placed(path: str, folder: Path) -> str:
    return os.path.relpath(folder / path) if os.path.exists(folder / path) else path


def _value(name: str, value: Any, file: str, folder: Path) -> Any:
    """An option's value, as the command line would give it."""
    keywords = OPTIONS[name]
    if keywords.get("action") == "store_true":
        kind = "true or false"
        fits = isinstance(value, bool)
    else:
        convert = keywords.get("type", str)
        kind = " or ".join(keywords.get("choices", ())) or {str: "text", Path: "a path"}.get(
            convert, convert.__name__
        )
        try:
            value = convert(_placed(str(value), folder) if convert is Path else str(value))
            fits = value in keywords.get("choices", (value,))
        except ValueError:
            fits = False
    if not fits:
        raise InputError(f"{file}: option {name} is {shown(value, 60)}; expected {kind}")
    return value
