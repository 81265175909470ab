"""Kills at random moments: does the next run finish the rest, and only the rest, to the same bytes?

    python -m benchmarks.torture --points 30

Two thirds of the kills fall between the first and the last shard, the others anywhere, start and end
included. In turn the process gets SIGKILL, SIGHUP, SIGSTOP with SIGCONT before SIGKILL, and SIGKILL after
which the next run gets one too. After each kill the finished shards are counted by their
checksums, the extraction is run again, and its arrays and figures are compared byte for byte with those of
a run that nobody disturbed. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.reliability import count
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import CACHE_VERSION, MapsCache
from geolip_theorems.extraction.entry import cache_key, open_store
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.extraction.shards import LEDGER
from geolip_theorems.model.architectures import SVAEConfig
from geolip_theorems.model.sources import random_twin
from geolip_theorems.script import script_protocol

CONFIG = SVAEConfig(V=8, D=4, patch_size=4, hidden=16, depth=1, n_cross_layers=1)
SHARD_IMAGES = 8
KEY = {"what": "torture"}
STOPPED_S = 0.2
KILLS = {
    "kill": (signal.SIGKILL,),
    "hang up": (signal.SIGHUP,),
    "stop, continue, kill": (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL),
    "kill twice": (signal.SIGKILL,),
}


def work(folder: Path, images: int) -> None:
    """The run that is killed: extract, measure, write the figures."""
    torch.set_num_threads(1)
    data = load_images("noise", image_size=32, max_images=images, offline=True)
    extraction = Extraction(random_twin(CONFIG, 1), data)
    cache = MapsCache(folder, shard_images=SHARD_IMAGES)
    found = cache.maps(KEY, extraction)
    figures = script_protocol(found.maps)
    text = json.dumps({"computed": found.computed, "figures": figures})
    (folder / "result.json").write_text(text)


def entry_of(folder: Path) -> Path:
    """Where the run keeps its arrays."""
    return folder / CACHE_VERSION / cache_key(KEY)


def outcome(folder: Path) -> tuple[dict[str, bytes], dict]:
    """The bytes of every array, and the figures."""
    result = json.loads((folder / "result.json").read_text())
    return {path.name: path.read_bytes() for path in sorted(entry_of(folder).glob("*.npy"))}, result


def shards_on_ledger(folder: Path) -> int:
    """Shards recorded so far."""
    return sum(1 for _ in (entry_of(folder) / LEDGER).glob("*.json"))


class Runs:
    """Starts runs as copies of this process, so that each begins at once."""

    def __init__(self, images: int) -> None:
        self.images = images
        self.context = multiprocessing.get_context("fork")

    def start(self, folder: Path) -> multiprocessing.Process:
        """A run in a process of its own."""
        process = self.context.Process(target=work, args=(folder, self.images))
        process.start()
        return process

    def finish(self, folder: Path) -> float:
        """A run to its end; its seconds."""
        begun = time.monotonic()
        process = self.start(folder)
        process.join()
        if process.exitcode:
            raise SystemExit(f"a run that nobody killed ended with exit code {process.exitcode}")
        return time.monotonic() - begun

    def kill(self, folder: Path, signals: Sequence[int], after_shards: int | None, after_s: float) -> None:
        """Start a run and send it signals, the last of which ends it, so long after it has so many shards."""
        process = self.start(folder)
        if after_shards is not None:
            while process.is_alive() and shards_on_ledger(folder) < after_shards:
                time.sleep(0.0005)
        process.join(after_s)
        for number in signals:
            if process.is_alive():
                os.kill(process.pid, number)
                process.join(STOPPED_S)
        process.join()


def finished(folder: Path) -> int:
    """Shards that are there and fit their checksums."""
    store = open_store(entry_of(folder))
    return 0 if store is None else len(store.finished()[0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=30, help="kills (default 30)")
    parser.add_argument("--images", type=int, default=160, help="images (default 160: 20 shards)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    total = -(-options.images // SHARD_IMAGES)
    draw, runs = random.Random(options.seed), Runs(options.images)
    failures, between = 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        for name in ("compiles what is compiled", "calm"):
            calm = Path(temporary) / name
            calm.mkdir()
            seconds = runs.finish(calm)
        arrays, wanted = outcome(calm)
        step = seconds / total
        print(f"undisturbed: {total} shards, {seconds:.2f} s, {len(arrays)} arrays")
        for point in range(options.points):
            folder = Path(temporary) / str(point)
            folder.mkdir()
            inside = point % 3 != 2  # two of three between the first and the last shard
            how = list(KILLS)[point % len(KILLS)]
            for _ in range(2 if "twice" in how else 1):
                shards = draw.randrange(1, total) if inside else None
                runs.kill(folder, KILLS[how], shards, draw.uniform(0, step if inside else 1.1 * seconds))
            there = finished(folder)
            between += 0 < there < total
            (folder / "result.json").unlink(missing_ok=True)
            runs.finish(folder)
            found, result = outcome(folder)
            same = found == arrays and result["figures"] == wanted["figures"]
            counted = result["computed"] == total - there
            failures += not (same and counted)
            verdict = "same bytes" if same else "DIFFERENT BYTES"
            print(
                f"{point + 1:3d}, {how}: {there:2d} of {total} shards there, {result['computed']:2d} computed"
                f"{'' if counted else ' (WRONG COUNT)'}, {verdict}"
            )
    count("runs killed, the next one to the same bytes", options.points, options.points - failures)
    print(f"{options.points} kills, {between} between the first and the last shard, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
