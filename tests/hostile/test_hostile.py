"""Every hostile file gives one clear line, in bounded time and memory, and nothing in it runs."""

import os
import re
from collections import defaultdict
from pathlib import Path

import pytest

from . import (  # noqa: F401
    cases_bombs,
    cases_checkpoints,
    cases_cifar,
    cases_images,
    cases_records,
    cases_safetensors,
)
from .cases import CASES
from .worker import LONGEST

GROWTH, TIMES_ITS_SIZE = 640 << 20, 3  # memory in RAM: 20 bytes per pixel of 32 megapixels, and for each byte
LONGEST_LINE = 700
# Messages about a path that repeat it as it was typed; all others name a file, not the folder it is in.
TYPED = "does not exist|there is no such folder|cannot be filled|not in the cache"


def size_of(path: Path) -> int:
    """Bytes on disk of a file or of all in a folder: the holes of a sparse file count for nothing."""
    files = path.rglob("*") if os.path.isdir(path) else [path]  # unlike Path's, False for impossible names
    return sum(512 * file.stat().st_blocks for file in files if os.path.isfile(file))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_hostile_files(case, examine, home):
    canary = home.parent / "canary"
    path = case.make(home, canary)
    report = examine(case.loader, path, **case.more)
    assert report["outcome"] == ("refused" if case.says else "fine"), report
    assert report["seen"] == []
    assert not canary.exists()
    assert report["growth"] < GROWTH + TIMES_ITS_SIZE * size_of(path)
    assert report["seconds"] < LONGEST
    if case.says:
        message = report["message"]
        assert re.search(case.says, message), message
        assert message.isprintable()
        assert len(message) < LONGEST_LINE
        assert str(home) not in message or re.search(TYPED, message)
        assert report["said"] == ""


@pytest.mark.parametrize("case", [case for case in CASES if case.runs], ids=lambda case: case.id)
def test_trusting_readers_run_it(case, examine, home):
    """Negative control: the same file, read the usual way, makes the canary, and the watch sees it."""
    canary = home / "canary"
    report = examine("unsafe", case.make(home, canary))
    assert report["seen"], report
    assert canary.exists()


def test_the_table_is_large_enough():
    kinds = defaultdict(set)
    for case in CASES:
        kinds[case.loader].add(case.kind)
    wanted = (
        "archive",
        "legacy",
        "safetensors",
        "npz",
        "folder",
        "trusted cifar",
        "results",
        "companion",
        "toml",
    )
    assert {loader: len(kinds[loader]) for loader in wanted if len(kinds[loader]) < 8} == {}
    assert sum(bool(case.says) for case in CASES) >= 60
