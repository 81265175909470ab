"""An extraction to be interrupted: ``python -m tests.extraction.interrupted FOLDER``."""

import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch

from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.model.architectures import SVAEConfig
from geolip_theorems.model.sources import random_twin


@contextmanager
def watch():
    """Print the seconds each tile took."""
    last = time.monotonic()

    def tell(done):
        nonlocal last
        now = time.monotonic()
        print(f"tile {now - last}", flush=True)
        last = now

    yield tell


def main(folder: Path) -> None:
    # A shell that starts its jobs in the background has them ignore Ctrl-C, and children inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.set_num_threads(1)
    images = load_images("noise", image_size=64, max_images=4000)
    extraction = Extraction(random_twin(SVAEConfig(), 1), images, ablated=[], watch=watch)
    cache = MapsCache(folder, shard_images=8, say=lambda line: print(line, flush=True))
    try:
        cache.maps({"images": "noise"}, extraction)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
