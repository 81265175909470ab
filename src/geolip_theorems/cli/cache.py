"""``cache``: what the cache of maps holds, whether it is whole, and making room."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import InputError
from .parser import add_command, add_json, gigabytes

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
        "130 interrupted",
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
    raise InputError("cache: not there yet")
