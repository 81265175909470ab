"""Baselines: runs kept under a name, for later runs to be compared with.

A baseline is a folder that is replaced as a whole: processes that save under one name do so one after the
other, and whoever reads it takes the same lock.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..io.errors import InputError, unknown
from ..io.files import refused, remove
from ..results.record import read_results

FOLDER = Path("reports/baselines")
RESULTS = "results.json"
LONGEST_WAIT = 60.0  # seconds for another process that saves under the name; a save takes milliseconds
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
    place = folder / text / RESULTS
    with standing(place):
        names = known(folder)
    if not names:
        raise InputError(
            f"unknown baseline {text!r}; there are none in {str(folder)!r}: --save-baseline NAME keeps a run "
            "as one"
        )
    if text not in names:
        raise unknown("baseline", text, names)
    return place


def save(name: str, results: Path, folder: Path = FOLDER) -> Path:
    """Keep a run under a name, whole or not at all; one of that name is replaced.

    Args:
        results: its ``results.json``, with the companions beside it.

    Returns:
        The folder it is kept in.

    Raises:
        InputError: the name cannot be used, the folder cannot be written, or another process keeps its lock.
    """
    place = folder / check_name(name)
    with refused(f"baseline folder {str(folder)!r}", "working folder"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with _lock(place):
                _replace(place, results)
        except Timeout:
            raise InputError(f"baseline {name!r} has been locked by another process for a minute") from None
    return place


@contextmanager
def standing(results: Path) -> Iterator[None]:
    """Keep a baseline from being replaced, as far as its lock is there and can be taken."""
    lock = _lock(results.parent)
    try:
        if Path(lock.lock_file).exists():
            lock.acquire()
    except OSError:  # a folder that cannot be written
        pass
    try:
        yield
    finally:
        lock.release()


def _lock(place: Path) -> FileLock:
    return FileLock(place.with_name(f".{place.name}.lock"), timeout=LONGEST_WAIT, poll_interval=0.01)


def _replace(place: Path, results: Path) -> None:
    """Put a run in a baseline's place, whose lock is held."""
    unfinished, old = (place.with_name(f".{place.name}.{what}") for what in ("new", "old"))
    if os.path.lexists(old) and not os.path.lexists(place):
        old.rename(place)  # a process was killed between its two renames
    remove(unfinished)
    remove(old)
    try:
        unfinished.mkdir()
        for subject in read_results(results)["subjects"]:
            if subject["companion"]:
                file = Path(subject["companion"]["file"]).name
                shutil.copyfile(results.parent / file, unfinished / file)
        shutil.copyfile(results, unfinished / RESULTS)
        if os.path.lexists(place):
            place.rename(old)
        unfinished.rename(place)
        remove(old)
    except BaseException:
        remove(unfinished)
        if os.path.lexists(old) and not os.path.lexists(place):
            old.rename(place)
        raise
