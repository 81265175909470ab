"""Worker processes killed at random moments of an extraction: the same bytes, or one line and a rest.

    python -m benchmarks.torture_workers --points 8
    python -m benchmarks.torture_workers --points 8 --engine ray    # where Ray is installed

Each run has three workers, of which one to five are killed (SIGKILL, SIGHUP, or stopped, continued and
killed), their start included. Dead ones are replaced three times; after that the run ends in one line, and
is run again undisturbed. Arrays are compared byte for byte with those that one process made. Exit code 1 if
anything differs.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

import torch

from benchmarks.reliability import count
from benchmarks.torture import CONFIG, KEY, SHARD_IMAGES, entry_of
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.extraction.engines import RETRIES, spread
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.sources import random_twin
from geolip_theorems.run.options import ENGINES

SIGNALS = ((signal.SIGKILL,), (signal.SIGHUP,), (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL))
WORKERS = 3


class Killer(threading.Thread):
    """Kills random workers of this process, each so many seconds after the one before."""

    def __init__(self, pauses: list[float], draw: random.Random) -> None:
        super().__init__(daemon=True)
        self.pauses, self.draw, self.killed, self.over = pauses, draw, 0, threading.Event()

    def run(self) -> None:
        for pause in self.pauses:
            while not (alive := workers_of_this_process()):
                if self.over.wait(0.05):
                    return
            if self.over.wait(pause):
                return
            victim = self.draw.choice(workers_of_this_process() or alive)
            with suppress(ProcessLookupError):
                for number in self.draw.choice(SIGNALS):
                    os.kill(victim, number)
                    time.sleep(0.05)
            for _ in range(50):
                if victim not in workers_of_this_process():
                    self.killed += 1  # what Ray starts does not hear SIGHUP
                    break
                time.sleep(0.1)


def workers_of_this_process() -> list[int]:
    """Its worker processes, and the actors of its Ray, which are children of a child of this one."""
    if pool := multiprocessing.active_children():
        return [process.pid for process in pool]
    asked = ["ps", "-A", "-o", "pid=,ppid=,command="]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [row.split(None, 2) for row in listed]
    children = {number for number, parent, *_ in rows if parent == str(os.getpid())}
    return [
        int(number)
        for number, parent, *command in rows
        if parent in children and command[:1] and command[0].startswith("ray::Worker")
    ]


def extract(folder: Path, images: int, workers: int, engine: str = "local") -> int:
    """An extraction into a cache; shards computed."""
    data = load_images("noise", image_size=32, max_images=images, offline=True)
    source = spread(Extraction(random_twin(CONFIG, 1), data), workers, engine)
    return MapsCache(folder, shard_images=SHARD_IMAGES).maps(KEY, source).computed


def arrays(folder: Path) -> dict[str, bytes]:
    """The bytes of every array of the entry."""
    return {path.name: path.read_bytes() for path in sorted(entry_of(folder).glob("*.npy"))}


def tortured(
    folder: Path, images: int, pauses: list[float], draw: random.Random, engine: str
) -> tuple[int, str]:
    """A run whose workers are killed, and another where it gave up: how many died, what became of it."""
    killer = Killer(pauses, draw)
    killer.start()
    try:
        extract(folder, images, WORKERS, engine)
        said = "went on"
    except InputError as error:
        said = f"gave up: {error}"
        extract(folder, images, 0)
    finally:
        killer.over.set()
        killer.join()
    return killer.killed, said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--points", type=int, default=8, help="runs (default 8)")
    parser.add_argument("--images", type=int, default=800, help="images (default 800: 100 shards)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--engine", choices=ENGINES, default="local")
    options = parser.parse_args()
    torch.set_num_threads(1)
    draw, failures, deaths = random.Random(options.seed), 0, 0
    with tempfile.TemporaryDirectory() as temporary:
        calm = Path(temporary) / "calm"
        extract(calm, options.images, 0)
        for attempt in ("first", "again"):  # an engine's first start takes longer
            begun = time.monotonic()
            extract(Path(temporary) / attempt, options.images, WORKERS, options.engine)
            seconds = time.monotonic() - begun
        wanted = arrays(calm)
        print(f"undisturbed, {WORKERS} workers: {seconds:.1f} s, {len(wanted)} arrays", flush=True)
        for point in range(options.points):
            folder = Path(temporary) / str(point)
            pauses = [draw.uniform(0, seconds) for _ in range(draw.randint(1, RETRIES + 2))]
            killed, said = tortured(folder, options.images, pauses, draw, options.engine)
            same = arrays(folder) == wanted
            failures += not same
            deaths += killed
            print(f"run {point + 1:3d}: {killed} workers killed, {said}, {verdict(same)}", flush=True)
    kind = "Ray " if options.engine == "ray" else ""
    what = f"runs of {WORKERS} {kind}workers of which some are killed, to the same bytes"
    count(what, options.points, options.points - failures)
    print(f"{options.points} runs, {deaths} workers killed, {failures} failures")
    return 1 if failures or not deaths else 0


def verdict(same: bool) -> str:
    return "same bytes" if same else "DIFFERENT BYTES"


if __name__ == "__main__":
    sys.exit(main())
