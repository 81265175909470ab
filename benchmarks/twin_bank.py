"""Write the bank of random-weight twins: what a subject of the embedded shape is compared with.

``python -m benchmarks.twin_bank`` (``make bank``) measures thirty twins on the control images of every image
set that comes with the suite and writes a file per set beside the embedded model. Needed after a change of
the extraction, of a measure, or of the images: until then the bank does not fit and runs draw their own.

Cost: 12 to 15 s of one core a twin and set; the cache keeps the maps, so that a change of the measures alone
costs 3 s.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from geolip_theorems.extraction.cache import MapsCache, default_folder
from geolip_theorems.run.analyse import measured_references, measured_twins
from geolip_theorems.run.bank import BANKED, Bank, bank_file, bank_key, write_bank
from geolip_theorems.run.controls import chosen_images
from geolip_theorems.run.subject import RunOptions, open_subject

MODEL = "freckles_embedded"
FIRST_SEED = 1001  # away from the seeds people choose for `random:`
TWINS = 30


def build(dataset: str, count: int, cache: MapsCache, out: Path) -> None:
    """Measure ``count`` twins on one image set and write them to ``out``."""
    subject = open_subject(MODEL, dataset, RunOptions(offline=True))
    twins, begun = [], time.monotonic()
    for twin in measured_twins(subject, range(FIRST_SEED, FIRST_SEED + count), cache):
        twins.append(twin)
        print(f"{dataset}: twin {len(twins)} of {count}, {time.monotonic() - begun:.0f} s", flush=True)
    references = measured_references(subject, FIRST_SEED, cache)
    write_bank(out, Bank(bank_key(subject, *chosen_images(subject)), twins, references))
    print(f"{out.name}: {out.stat().st_size:,} bytes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--datasets", nargs="+", choices=BANKED, default=list(BANKED))
    parser.add_argument("--twins", type=int, default=TWINS, help="a set (default %(default)s)")
    parser.add_argument("--cache-dir", type=Path, default=default_folder(), help="default: the user's cache")
    options = parser.parse_args()
    for dataset in options.datasets:
        build(dataset, options.twins, MapsCache(options.cache_dir), bank_file(dataset))


if __name__ == "__main__":
    main()
