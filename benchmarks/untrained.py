"""Untrained networks as subjects: how often are they called beyond untrained weights, or behind them?

``python benchmarks/untrained.py`` (part of ``make calibrate``) measures random networks of the embedded shape
on crops of photographs, compares each with others drawn from the rest, and prints the shares of *yes* and
*no*, each at most 2.5 % as claimed; it ends with 1 where a count is improbable under that. The first column
is what not to do: the same three twins for everybody.

Cost: 4 s of one core a network; kept in the cache, so that it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from geolip_theorems.analysis import measured_twin
from geolip_theorems.calibration_twins import rates, table
from geolip_theorems.extraction.cache import MapsCache, default_folder
from geolip_theorems.subject import RunOptions, open_subject
from geolip_theorems.twins import control_images

MODEL = "freckles_embedded"
FIRST_SEED = 1001


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="photos")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--networks", type=int, default=102)
    parser.add_argument("--twins", type=int, nargs="+", default=[3, 10, 30])
    parser.add_argument("--cache-dir", type=Path, default=default_folder(), help="default: the user's cache")
    parser.add_argument("--out", type=Path, default=None, help="write the table here as well")
    options = parser.parse_args()
    run = RunOptions(offline=True, image_size=options.image_size, control_images=options.images)
    subject = open_subject(MODEL, options.dataset, run)
    images, ablated = control_images(subject)
    cache, pool = MapsCache(options.cache_dir), []
    for seed in range(FIRST_SEED, FIRST_SEED + options.networks):
        pool.append(measured_twin(subject, seed, images, ablated, cache))
        print(f"network {len(pool)} of {options.networks}", file=sys.stderr, flush=True)
    groups = subject.images.take(images).groups
    drawn = {f"{k} drawn": rates(pool, groups, k) for k in options.twins}
    text = table({"3 for all": rates(pool, groups, fixed=range(3)), **drawn})
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return int(any(r.refusals() for found in drawn.values() for r in found))


if __name__ == "__main__":
    sys.exit(main())
