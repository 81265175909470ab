"""The TOML files of a run: thresholds, expected verdicts, and ``theorems.toml``, which may hold both::

    models = ["my.pt"]
    datasets = ["mine/", "digits"]

    [options]                # of the command line, without their dashes
    max-images = 2000

    [thresholds]             # in place of the questions' own, by claim name
    spatial_cv = 0.2

    [[expected]]             # a verdict expected not to hold: a finding, kept visible
    model = "freckles_embedded"
    dataset = "photos"
    images = 1200
    claim = "class_cosine"
    verdict = "fails"
    reason = "photographs cut into crops have no layout that depends on their class"

    [profiles.nightly]       # any of these again, for --profile nightly
    datasets = ["cifar10"]

They may stand under ``[tool.geolip-theorems]`` in ``pyproject.toml`` instead. The command line wins over the
profile, and the profile over the rest. Paths are relative to the file.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..io.errors import InputError, printable, reason, shown, unknown
from ..io.files import read_small
from ..model.known import is_function
from ..questions.base import Claim, claims, with_thresholds
from .options import ENGINE_OPTIONS, OUTPUT_OPTIONS, RUN_OPTIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LARGEST_TOML = 256 << 10  # bytes; a thousand expectations
MOST_DOTS = 64  # a line; a key of n parts takes the square of n, and what is under it as much again

FILE, PYPROJECT, TABLE = "theorems.toml", "pyproject.toml", "geolip-theorems"
PROFILE = "--profile"
ELSEWHERE = (PROFILE, "--thresholds", "--expectations")  # the last two have tables of their own here
KINDS = {"options": dict, "thresholds": dict, "expected": list, "models": list, "datasets": list}
OPTIONS = {
    flag.removeprefix("--"): keywords
    for flag, keywords in {**RUN_OPTIONS, **ENGINE_OPTIONS, **OUTPUT_OPTIONS}.items()
    if flag not in ELSEWHERE
}

VERDICTS = ("fails", "inconclusive")
KEYS = {"model": str, "dataset": str, "images": int, "claim": str, "verdict": str, "reason": str}


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """A TOML file as a dictionary.

    Raises:
        InputError: missing, unreadable, too large or not TOML.
    """
    content, name = read_small(path, f"{what} file", LARGEST_TOML), printable(path.name, 200)
    if max(line.count(b".") for line in content.split(b"\n")) > MOST_DOTS:
        raise InputError(
            f"{what} file {name!r} has a line of over {MOST_DOTS} dots; shorten its keys or break it"
        )
    try:
        return tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # tomllib leaves numbers of 4,301 digits to int()
        raise InputError(f"{what} file {name!r} is not TOML: {reason(error)}; correct it there") from None


def load_claims(path: Path | None) -> tuple[Claim, ...]:
    """Every question's claims, those on request too, with a TOML file's thresholds or as they stand.

    Raises:
        InputError: an unknown claim, or a threshold that is not a finite number.
    """
    if path is None:
        return claims(on_request=True)
    content = read_toml(path, "thresholds")
    table = content.get("thresholds")
    if not isinstance(table, Mapping) or set(content) != {"thresholds"}:
        raise InputError(f"thresholds file {path.name!r} needs one table, [thresholds], with claim = number")
    return with_thresholds(table)


@dataclass(frozen=True)
class Expectation:
    """A verdict expected on so many images: it is an expected failure, and any other verdict fails its test.

    On another number of the same images it is unchecked: a claim that fails there is an expected failure too.
    ``model`` and ``dataset`` are names as they stand in a subject's id.
    """

    model: str
    dataset: str
    images: int
    claim: str
    verdict: str
    reason: str

    def elsewhere(self, images: int) -> str:
        """What is said of it on another number of images."""
        return f"expected {self.verdict!r} on {self.images:,} images ({self.reason}); unchecked on {images:,}"


def load_expectations(path: Path) -> tuple[Expectation, ...]:
    """Read an expectations file.

    Raises:
        InputError: a missing or unknown key, an unknown claim or verdict, or two entries for one claim.
    """
    content = read_toml(path, "expectations")
    entries = content.get("expected", [])
    if set(content) - {"expected"} or not isinstance(entries, list):
        raise InputError(f"expectations file {path.name!r} may only hold [[expected]] tables")
    return read_expectations(path.name, entries)


def read_expectations(file: str, entries: Sequence[Any]) -> tuple[Expectation, ...]:
    """Expectations from the ``[[expected]]`` tables of a file of this name."""
    found = [_expectation(file, number, entry) for number, entry in enumerate(entries, 1)]
    counts = Counter((e.model, e.dataset, e.images, e.claim) for e in found)
    for key, count in counts.items():
        if count > 1:
            twice = ", ".join(shown(part, 80) for part in key)
            raise InputError(f"expectations file {file!r} has two entries for {twice}")
    return tuple(found)


def _expectation(file: str, number: int, entry: object) -> Expectation:
    where = f"expectations file {file!r}, entry {number}"
    fits = isinstance(entry, dict) and entry.keys() == KEYS.keys()
    if not fits or not all(type(entry[key]) is kind for key, kind in KEYS.items()):
        raise InputError(f"{where}: expected the entries {', '.join(KEYS)}; images a number, the others text")
    names = [claim.name for claim in claims(on_request=True)]
    condition = {"<", ">"} & set(entry["claim"].split())  # the name of a claim of one's own, known later
    if entry["claim"] not in names and not condition:
        raise unknown(f"claim in {where}", entry["claim"], names)
    if entry["verdict"] not in VERDICTS:
        raise unknown(f"verdict in {where}", entry["verdict"], VERDICTS)
    return Expectation(**entry)


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
    """The settings of the project in a folder, with those of a profile if one is named.

    Args:
        models: those of the command line, which win; None where it names none.

    Raises:
        InputError: a file that cannot be read, both at once, an unknown key, profile or option, a value that
            an option does not take, or a model that would run code.
    """
    file, content = _content(folder)
    profiles = _table(content.pop("profiles", {}), f"{file}: profiles")
    if profile is not None and profile not in profiles:
        raise unknown(f"profile in {file}" if file else f"profile, there being no {FILE}", profile, profiles)
    top = _layer(content, file, folder)
    layers = {
        name: _layer(_table(found, f"{file}: profile {name!r}"), file, folder)
        for name, found in profiles.items()
    }
    used = [top] if profile is None else [top, layers[profile]]
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
    for key in filter(content.__contains__, ("models", "datasets")):
        for name in content[key]:
            if not isinstance(name, str):
                raise InputError(f"{file}: {key} holds {shown(name, 60)}; expected names and paths")
        options[f"--{key[:-1]}"] = [_placed(name, folder) for name in content[key]]
    for name, value in content.get("options", {}).items():
        if name not in OPTIONS:
            raise unknown(f"option in {file}", name, OPTIONS)
        options[f"--{name}"] = _value(name, value, file, folder)
    return Settings(file, options, content.get("thresholds", {}), tuple(content.get("expected", ())))


def _placed(path: str, folder: Path) -> str:
    """A path from the present folder, where there is such a file; else the name it is."""
    return os.path.relpath(folder / path) if os.path.exists(folder / path) else path


def _value(name: str, value: Any, file: str, folder: Path) -> Any:
    """An option's value, as the command line would give it."""
    keywords = OPTIONS[name]
    if keywords.get("action") == "store_true":
        kind, fits = "true or false", isinstance(value, bool)
    else:
        convert, choices = keywords["type"], keywords.get("choices", ())
        kind = " or ".join(choices) or {str: "text", Path: "a path"}.get(convert, convert.__name__)
        try:
            value = convert(_placed(str(value), folder) if convert is Path else str(value))
            fits = not choices or value in choices
        except ValueError:
            fits = False
    if not fits:
        raise InputError(f"{file}: option {name} is {shown(value, 60)}; expected {kind}")
    return value
