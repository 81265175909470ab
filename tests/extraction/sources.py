"""Sources of maps whose values are known, for tests of the cache."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.extraction.maps import Maps
from geolip_theorems.extraction.shards import Layout

KEY = {"weights": "a", "images": "b"}
IMAGES, SHARD, SHARDS = 11, 4, 3  # the last shard is short
ROWS = {
    **dict.fromkeys(("error", "pixel_var", "input_var", "gradient"), (2, 2)),
    **dict.fromkeys(("S", "friction", "settle"), (2, 2, 4)),
    "error_half": (2, 2, 2),
    "input_mean": (2, 2, 3),
}


class Numbers:
    """Every value of image i is ``value + i``.

    Args:
        value: see above.
        ablated: images with ablated errors; none of them in the last shard.
        log: a file that gets a line per shard computed.
        pause: seconds per shard.
        stop_before: raise KeyboardInterrupt instead of this shard.
    """

    def __init__(self, value=1.0, ablated=(1, 2, 6), log=None, pause=0.0, stop_before=None):
        self.value = value
        self.ablated = np.array(ablated, np.int64)
        self.log = log
        self.pause = pause
        self.stop_before = stop_before
        self.computed = []

    def layout(self):
        per_ablated = dict.fromkeys(("error_only", "error_without"), (2, 2, 4)) if len(self.ablated) else {}
        return Layout(IMAGES, ROWS, self.ablated, per_ablated)

    def fits(self, layout):
        own = self.layout()
        return layout.shapes() == own.shapes() and np.array_equal(layout.ablated, own.ablated)

    def run(self, shards):
        for shard in shards:
            if shard.number == self.stop_before:
                raise KeyboardInterrupt
            time.sleep(self.pause)
            self.computed.append(shard.number)
            if self.log is not None:
                with open(self.log, "a") as file:
                    file.write(f"{shard.number}\n")
            images = np.arange(shard.start, shard.stop)
            arrays = {name: self.rows(images, row) for name, row in ROWS.items()}
            ablated = np.intersect1d(self.ablated, images)
            if len(ablated):
                arrays |= {name: self.rows(ablated, (2, 2, 4)) for name in ("error_only", "error_without")}
            yield shard, arrays

    def rows(self, images, row):
        values = self.value + images.reshape(-1, *[1] * len(row))
        return np.broadcast_to(values, (len(images), *row)).astype(np.float32)

    def maps(self, arrays, absent):
        return Maps(
            absent=absent,
            **{"error_only": None, "error_without": None, **arrays},
            ablated=self.ablated if "error_only" in arrays else None,
            labels=np.arange(IMAGES),
            classes=tuple(map(str, range(IMAGES))),
            patch_pixels=16,
        )


class Never(Numbers):
    """A source that must not be asked for a shard."""

    def run(self, shards):
        raise AssertionError(f"computed again: {shards}")
        yield


def cache_in(folder, **changes):
    """A cache with shards of four images."""
    return MapsCache(Path(folder), shard_images=SHARD, **changes)


def fill(folder, log, pause):
    """Fill the entry; for processes."""
    cache_in(folder).maps(KEY, Numbers(log=log, pause=pause))


def hold(folder, ready, seconds=60.0):
    """Extract, very slowly after the first shard; for processes that are to be killed."""

    class Stuck(Numbers):
        def run(self, shards):
            for number, item in enumerate(super().run(shards)):
                if number == 1:
                    Path(ready).write_text(str(os.getpid()))
                    time.sleep(seconds)
                yield item

    cache_in(folder).maps(KEY, Stuck())
