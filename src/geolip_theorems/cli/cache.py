"""``cache``: what the cache of maps holds, whether it is whole, and making room."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..io.errors import InputError
from ..io.text import LONGEST_NAME, printable
from .output import print_json, print_table, show
from .parser import add_command, add_json, gigabytes

if TYPE_CHECKING:  # reading the help must not load torch
    from ..extraction.housekeeping import Entry

ACTIONS = ("list", "verify", "prune")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "cache",
        run,
        help="list, verify or prune the cache of maps",
        description="The cache of maps: `list` shows its entries, `verify` reads all of them against their "
        "checksums, `prune` removes those used longest ago until the cache is below --cache-limit.",
        example="geolip-theorems cache list\ngeolip-theorems cache verify\n"
        "geolip-theorems cache prune --cache-limit 2",
        codes="exit codes: 0 done, 1 verify found a damaged entry, 2 something given cannot be used, "
        "3 an error of the program itself, 130 interrupted",
    )
    parser.add_argument(
        "action", nargs="?", choices=ACTIONS, default="list", help="list (default), verify or prune"
    )
    parser.add_argument(
        "--cache-dir", type=Path, metavar="DIR", help="folder of the cache (default: the user's cache folder)"
    )
    parser.add_argument(
        "--cache-limit", type=gigabytes, metavar="GB", help="prune: size in 10^9 bytes to come down to"
    )
    add_json(parser)


def run(options: argparse.Namespace) -> int | None:
    """The ``cache`` command."""
    from ..extraction import DEFAULT_LIMIT_GB
    from ..extraction.cache import MapsCache, default_folder
    from ..extraction.housekeeping import entries, prune

    given = options.cache_dir
    if given is not None and given.is_file():
        raise InputError(
            f"cache folder {str(given)!r} is a file; give the folder that --cache-dir named in a run"
        )
    limit = DEFAULT_LIMIT_GB if options.cache_limit is None else options.cache_limit
    cache = MapsCache(given or default_folder(), limit_gb=limit)
    if options.action == "verify":
        return _verify(entries(cache), options.json)
    removed = prune(cache) if options.action == "prune" else None
    found = entries(cache)
    total = sum(entry.bytes for entry in found)
    stay = [entry for entry in found if not entry.busy]
    if removed is not None and stay and total > limit * 1e9:
        raise InputError(
            f"{len(stay)} entries of {str(cache.folder)!r} cannot be removed; see whose they "
            "are, and whether the folder may be written"
        )
    if options.json:
        gone = {} if removed is None else {"removed": [asdict(entry) for entry in removed]}
        print_json({"entries": [asdict(entry) for entry in found], **gone})
        return 0
    _table(found)
    absent = "" if cache.folder.exists() else ", which does not exist"
    show(f"{len(found)} entries, {total / 1e6:,.1f} MB in {cache.folder}{absent}")
    if removed is not None:
        freed = sum(entry.bytes for entry in removed)
        show(f"removed {len(removed)} entries, {freed / 1e6:,.1f} MB")
        busy = sum(entry.busy for entry in found)
        if busy:
            show(f"left {busy} that another process is using")
    return 0


def _verify(found: list[Entry], as_json: bool) -> int:
    from ..extraction.housekeeping import verify

    results = [(entry, verify(entry)) for entry in found]
    rows = []
    for entry, faults in results:
        state = "in use" if faults is None else "damaged" if faults else "whole"
        if state == "whole" and entry.finished < entry.shards:
            state = f"{entry.finished} of {entry.shards} shards, these whole"
        what = "; ".join(
            fault if number < 0 else f"shard {number + 1} of {entry.shards}: {fault}"
            for number, fault in sorted((faults or {}).items())
        )
        rows.append((entry.key[:8], entry.format, _name(entry), state, what))
    if as_json:
        names = ("key", "format", "subject", "state", "damage")
        print_json({"entries": [dict(zip(names, row, strict=True)) for row in rows]})
    else:
        print_table(("key", "format", "subject", "state", "damage"), rows, styles={"damaged": "bold red"})
    damaged = [row for row in rows if row[3] == "damaged"]
    if damaged and not as_json:
        show(f"{len(damaged)} damaged: the next run that needs them extracts what is damaged again")
    return 1 if damaged else 0


def _table(found: list[Entry]) -> None:
    rows = [
        (
            entry.key[:8],
            _name(entry),
            entry.images or None,
            f"{entry.finished}/{entry.shards}",
            f"{entry.bytes / 1e6:,.1f}",
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)) if entry.used else None,
            "in use" if entry.busy else None if entry.current else entry.format,
        )
        for entry in found
    ]
    columns = ("key", "subject", "images", "shards", "MB", "last used", "")
    print_table(columns, rows, right=("images", "shards", "MB"))


def _name(entry: Entry) -> str:
    if entry.about:
        names = (entry.about.get(what, "(no name)") for what in ("model", "dataset"))
        return " on ".join(printable(name, LONGEST_NAME) for name in names)
    return "(no name)" if entry.current else f"(format {entry.format}, not read any more)"
