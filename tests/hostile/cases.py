"""The table of hostile files: what each is, which reader gets it and what it must say."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        loader: of the table in worker.py.
        kind: what is wrong with it, in a few words.
        make: (folder, canary) -> the path to read; ``canary`` is a file that no reader may make.
        says: a pattern of the one line it is refused with; "" where it is good after all.
        runs: whether a trusting reader would run code from it; then the test shows that it does.
        more: of the request to the worker.
    """

    loader: str
    kind: str
    make: Callable[[Path, Path], Path]
    says: str
    runs: bool = False
    more: dict = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.loader}: {self.make.__name__.replace('_', ' ')}"


CASES: list[Case] = []


def case(loader: str, kind: str, says: str, **more) -> Callable:
    """Enter a maker into the table; may be repeated for several loaders."""

    def enter(make: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        CASES.append(Case(loader, kind, make, says, **more))
        return make

    return enter


# --- files that are none, the same for every loader ------------------------------------------------------


def not_files(
    loader: str, name: str, says: str = "is not a file but|cannot be read|there is no such"
) -> None:
    """Enter a pipe, a folder, a device, an endless link, an empty and an unreadable file."""

    def pipe(folder: Path, canary: Path) -> Path:
        os.mkfifo(folder / name)
        return folder / name

    def folder(folder: Path, canary: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    def device(folder: Path, canary: Path) -> Path:
        (folder / name).symlink_to("/dev/zero")
        return folder / name

    def link_to_itself(folder: Path, canary: Path) -> Path:
        (folder / name).symlink_to(name)
        return folder / name

    def name_too_long(folder: Path, canary: Path) -> Path:
        return folder / ("x" * 5000 + name)

    def empty(folder: Path, canary: Path) -> Path:
        (folder / name).write_bytes(b"")
        return folder / name

    def unreadable(folder: Path, canary: Path) -> Path:
        (folder / name).write_bytes(b"secret")
        (folder / name).chmod(0)
        return folder / name

    missing = says + "|does not exist"
    found = {
        pipe: ("pipe", says),
        device: ("device", says),
        link_to_itself: ("link to itself", missing),
        name_too_long: ("name too long", missing),
    }
    if loader != "npz":  # there a folder is a folder of images
        found[folder] = ("folder", says)
    for make, (kind, pattern) in found.items():
        CASES.append(Case(loader, kind, make, pattern))
    CASES.append(Case(loader, "empty", empty, "."))
    CASES.append(Case(loader, "unreadable", unreadable, "Permission denied", more={"as_nobody": True}))
