"""``cache``: what the cache of maps holds, whether it is whole, and making room."""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..io.errors import InputError
from ..io.text import LONGEST_NAME, printable
from ..run.options import OUTPUT_OPTIONS
from .output import print_json, print_table, show
from .parser import add_command

if TYPE_CHECKING:  # reading the help must not load torch
    from ..extraction.housekeeping import Entry

VERIFIED = ("key", "format", "subject", "state", "damage")


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    add_argument = add_command(
        commands,
        run,
        "cache",
        help="list, verify or prune the cache of maps",
        example="geolip-theorems cache list\ngeolip-theorems cache verify\n"
        "geolip-theorems cache prune --cache-limit 2",
    )
    add_argument("action", nargs="?", choices=("list", "verify", "prune"), default="list", help="what to do")
    add_argument("--cache-dir", **OUTPUT_OPTIONS["--cache-dir"])
    about = "prune: size in 10^9 bytes to come down to"
    add_argument("--cache-limit", **{**OUTPUT_OPTIONS["--cache-limit"], "help": about})


def run(options: argparse.Namespace) -> int:
    """The cache of maps: `list` shows its entries, `verify` reads all of them against their checksums,
    `prune` removes those used longest ago until the cache is below --cache-limit.
    """
    from ..extraction.cache import MapsCache, default_folder
    from ..extraction.housekeeping import entries, prune

    given, limit = options.cache_dir, options.cache_limit
    if given is not None and given.is_file():
        raise InputError(
            f"cache folder {str(given)!r} is a file; give the folder that --cache-dir named in a run"
        )
    cache = MapsCache(given or default_folder(), limit_gb=limit)
    if options.action == "verify":
        return _verify(entries(cache), options.json)
    removed = prune(cache) if options.action == "prune" else None
    found = entries(cache)
    total = sum(entry.bytes for entry in found)
    busy = sum(entry.busy for entry in found)
    if removed is not None and busy < len(found) and total > limit * 1e9:
        raise InputError(
            f"{len(found) - busy} entries of {str(cache.folder)!r} cannot be removed; see whose they "
            "are, and whether the folder may be written"
        )
    if options.json:
        gone = {} if removed is None else {"removed": [asdict(entry) for entry in removed]}
        print_json({"entries": [asdict(entry) for entry in found], **gone})
        return 0
    columns = ("key", "subject", "images", "shards", "MB", "last used", "")
    print_table(columns, [*map(_row, found)], right=("images", "shards", "MB"))
    absent = "" if cache.folder.exists() else ", which does not exist"
    show(f"{len(found)} entries, {total / 1e6:,.1f} MB in {cache.folder}{absent}")
    if removed is not None:
        show(f"removed {len(removed)} entries, {sum(entry.bytes for entry in removed) / 1e6:,.1f} MB")
        if busy:
            show(f"left {busy} that another process is using")
    return 0


def _verify(found: list[Entry], as_json: bool) -> int:
    from ..extraction.housekeeping import verify

    rows = []
    for entry in found:
        faults = verify(entry)
        state = "in use" if faults is None else "damaged" if faults else "whole"
        if state == "whole" and entry.finished < entry.shards:
            state = f"{entry.finished} of {entry.shards} shards, these whole"
        what = "; ".join(
            fault if number < 0 else f"shard {number + 1} of {entry.shards}: {fault}"
            for number, fault in sorted((faults or {}).items())
        )
        rows.append((entry.key[:8], entry.format, _name(entry), state, what))
    damaged = sum(state == "damaged" for *_, state, _ in rows)
    if as_json:
        print_json({"entries": [dict(zip(VERIFIED, row, strict=True)) for row in rows]})
    else:
        print_table(VERIFIED, rows, styles={"damaged": "bold red"})
        if damaged:
            show(f"{damaged} damaged: the next run that needs them extracts what is damaged again")
    return int(damaged > 0)


def _row(entry: Entry) -> tuple[object, ...]:
    return (
        entry.key[:8],
        _name(entry),
        entry.images or None,
        f"{entry.finished}/{entry.shards}",
        f"{entry.bytes / 1e6:,.1f}",
        time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)) if entry.used else None,
        "in use" if entry.busy else None if entry.current else entry.format,
    )


def _name(entry: Entry) -> str:
    if entry.about:
        names = (entry.about.get(what, "(no name)") for what in ("model", "dataset"))
        return " on ".join(printable(name, LONGEST_NAME) for name in names)
    return "(no name)" if entry.current else f"(format {entry.format}, not read any more)"
