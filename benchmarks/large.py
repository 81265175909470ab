"""Image sets larger than memory: resident memory and cost per image, from 2,000 to 200,000.

    python benchmarks/large.py

Each size runs in a process of its own with a small model and generated 32x32 noise, which is made when it is
asked for and never in memory as a whole: extraction into an empty cache on disk, the script's protocol, and
reading the maps again with their checksums. Exit code 1 if a process needs 2 GB, or if the largest set costs
half as much again per image, in the extraction's processor time, as the smallest.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = (2_000, 20_000, 200_000)
LIMIT_GB, LIMIT_RATIO = 2.0, 1.5
SHARD_IMAGES = 1024


def run(count: int, folder: Path) -> dict[str, float]:
    """One size; seconds of each part, size on disk, and the process's largest resident memory."""
    from geolip_theorems.data.sources import load_images
    from geolip_theorems.extraction.cache import MapsCache
    from geolip_theorems.extraction.extract import Extraction
    from geolip_theorems.extraction.shards import folder_bytes
    from geolip_theorems.model.architectures import SVAEConfig
    from geolip_theorems.model.sources import random_twin
    from geolip_theorems.script import script_protocol

    config = SVAEConfig(V=8, D=4, patch_size=4, hidden=32, depth=1, n_cross_layers=1)
    model, images = random_twin(config, 1), load_images("noise", image_size=32, max_images=count)
    cache = MapsCache(folder, limit_gb=1000, shard_images=SHARD_IMAGES)
    ablated = np.sort(images.spread_order()[:256])
    Extraction(model, images, ablated=ablated).layout()  # compiles what is compiled
    marks = {"start": time.perf_counter()}
    used = time.process_time()
    found = cache.maps({"images": count}, Extraction(model, images, ablated=ablated))
    used = time.process_time() - used
    marks["extraction"] = time.perf_counter()
    script_protocol(found.maps)
    marks["script"] = time.perf_counter()
    cache.maps({"images": count}, Extraction(model, images, ablated=ablated))
    marks["verifying"] = time.perf_counter()
    times = dict(zip(list(marks)[1:], np.diff(list(marks.values())).tolist(), strict=True))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return {
        **times,
        "processor": used,
        "disk": folder_bytes(found.entry) / 1e9,
        "memory": memory,
    }


def _child(count: int, folder: Path, out) -> None:
    out.send(json.dumps(run(count, folder)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--folder", type=Path, help="where the caches go (default: a temporary folder)")
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    print("images    extraction  script   verifying  disk     memory   processor ms per image")
    each, most = [], 0.0
    for count in options.sizes:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            receive, send = context.Pipe(duplex=False)
            process = context.Process(target=_child, args=(count, Path(folder), send))
            process.start()
            send.close()
            found = json.loads(receive.recv())
            process.join()
        each.append(found["processor"] / count)
        most = max(most, found["memory"])
        print(
            f"{count:<9d} {found['extraction']:8.1f} s {found['script']:6.1f} s "
            f"{found['verifying']:8.2f} s {found['disk']:6.2f} GB {found['memory']:6.2f} GB "
            f"{1e3 * each[-1]:8.3f}",
            flush=True,
        )
    ratio = each[-1] / each[0]
    print(f"largest resident memory {most:.2f} GB; an image of the last set costs {ratio:.2f} of the first's")
    return 1 if most >= LIMIT_GB or ratio > LIMIT_RATIO else 0


if __name__ == "__main__":
    sys.exit(main())
