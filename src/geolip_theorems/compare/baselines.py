"""Baselines: runs kept under a name, for later runs to be compared with."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from ..io.errors import InputError, unknown
from ..results.record import read_results

FOLDER = Path("reports/baselines")
RESULTS = "results.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def check_name(name: str) -> str:
    """The name, where it can be one.

    Raises:
        InputError: it could be a path, or is one for hidden or JSON files.
    """
    if not NAME.fullmatch(name) or ".." in name or name.endswith((".json", ".")):
        raise InputError(
            f"baseline name {name!r} cannot be used; expected up to 64 letters, digits, dots, dashes and "
            "underscores, the first a letter or digit, not ending in .json"
        )
    return name


def known(folder: Path = FOLDER) -> list[str]:
    """The names of the baselines kept there."""
    return sorted(
        path.parent.name for path in folder.glob(f"*/{RESULTS}") if NAME.fullmatch(path.parent.name)
    )


def find(text: str, folder: Path = FOLDER) -> Path:
    """The results file of a baseline: a file, a folder with a ``results.json``, or a name.

    Raises:
        InputError: there is no such file, or no baseline of that name (the nearest is suggested).
    """
    path = Path(text)
    if path.suffix == ".json" or len(path.parts) > 1 or path.is_absolute():
        path = path / RESULTS if path.is_dir() else path
        if not path.is_file():
            raise InputError(
                f"baseline {text!r}: there is no such results file; give one, or a baseline's name"
            )
        return path
    names = known(folder)
    if text not in names:
        if not names:
            raise InputError(
                f"unknown baseline {text!r}; there are none yet: --save-baseline NAME keeps a run as one"
            )
        raise unknown("baseline", text, names)
    return folder / text / RESULTS


def save(name: str, results: Path, folder: Path = FOLDER) -> Path:
    """Keep a run under a name, whole or not at all; one of that name is replaced.

    Args:
        results: its ``results.json``, with the companions beside it.

    Returns:
        The folder it is kept in.

    Raises:
        InputError: the name cannot be used, or the folder cannot be written.
    """
    place = folder / check_name(name)
    unfinished, old = (folder / f".{name}.{os.getpid()}.{what}" for what in ("new", "old"))
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for subject in read_results(results)["subjects"]:
            if subject["companion"]:
                file = Path(subject["companion"]["file"]).name
                shutil.copyfile(results.parent / file, unfinished / file)
        shutil.copyfile(results, unfinished / RESULTS)
        if place.exists():
            place.rename(old)
        unfinished.rename(place)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        if old.exists() and not place.exists():
            old.rename(place)
        raise InputError(f"baseline folder {str(folder)!r} cannot be written ({error.strerror})") from None
    return place
