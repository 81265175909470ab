"""One pass of a model over an image set, cut into shards and tiles.

A tile is the images of one forward pass, always the same ones; on a CPU it runs on one thread, so that no map
depends on the number of images, threads, processes or machines. A shard is written, and resumed, at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import KW_ONLY, dataclass
from functools import cached_property

import numpy as np
import torch
from torch import nn

from ..data.imageset import ImageSet
from ..io.errors import InputError
from ..model.architectures import architecture_of
from ..model.threads import ieee_float32, thread_pool
from .maps import ABLATED, ALWAYS, SIGNALS, Maps
from .patch_maps import decodes
from .shards import SHARD_IMAGES, Layout, Shard, cut
from .signals import NO_DECODER, NO_SVD, NOT_ASKED, absent_signals, read_output
from .tiles import Arrays, Most, ThreadRunners, TileRunner, replica, replicable, tile_size

EXTRACTION_VERSION = 3  # part of the cache key: raise it when a map's definition or arithmetic changes
PIXELS = 8192  # of all images of a fingerprint together, while they are more than the fewest
FEWEST, MOST = 2, 8  # images of it; the last is noise

# Gives a function that is told how many images are done.
Watch = Callable[[], AbstractContextManager[Callable[[int], None]]]


@dataclass(eq=False, repr=False)
class Extraction:
    """The pass over an image set, computed shard by shard; the model is on the device.

    Args:
        ablated: (A,) which images get ablated errors, ascending; None for all.
        batch: images in the works at once; None for as many as there are threads and memory for.
        watch: entered when images are computed; shows progress.
        say: called with one line of news.

    Raises:
        InputError: no images, or no patch size.

    Cost: one forward pass per image; each ablated image adds 2 D decoder passes; the rest is under 5 %.
    """

    model: nn.Module
    images: ImageSet
    _: KW_ONLY
    device: str | torch.device = "cpu"
    ablated: np.ndarray | None = None
    batch: int | None = None
    watch: Watch = lambda: nullcontext(lambda done: None)
    say: Callable[[str], None] = lambda line: None
    engine: Callable[[Extraction, Sequence[Shard]], Iterable[tuple[Shard, Arrays]]] | None = None

    def __post_init__(self) -> None:
        if not len(self.images):
            raise InputError(f"data set {self.images.name!r} has no images")
        if not hasattr(self.model, "patch_size"):
            raise InputError("the model has no patch_size; set it, such as model.patch_size = 4")
        self.device = torch.device(self.device)
        self.tile = tile_size(self.device)
        whole = self.ablated is None
        self.ablated = np.arange(len(self.images)) if whole else np.asarray(self.ablated, np.int64)
        self._first_tiles: dict[tuple[int, int], Arrays] = {}  # from layout() to run()

    def layout(self) -> Layout:
        """The shape of the arrays, from the first tile of each thread; they are not computed again."""
        threads = self._thread_count()
        spans = self._tiles(Shard(0, 0, len(self.images)))[:threads]
        with self._pool(threads) as pool:
            found = [*_in_order(pool, threads, ThreadRunners(self._runner()), spans)]
        self._first_tiles = dict(zip(spans, found, strict=True))
        first = found[0]
        rows = {name: array.shape[1:] for name, array in first.items() if name not in ABLATED}
        if not self._decodes:
            return Layout(len(self.images), rows, np.arange(0), {}, self.absent)
        per_ablated = dict.fromkeys(("error_only", "error_without"), rows["S"])
        return Layout(len(self.images), rows, self.ablated, per_ablated, self.absent)

    def fits(self, layout: Layout) -> bool:
        """Whether a layout may be this extraction's: images, ablated ones, names and grid, without a pass."""
        height, width = self.images.image_size
        grid = (height // self.model.patch_size, width // self.model.patch_size)
        rows = {**layout.per_image, **layout.per_ablated}
        return (
            layout.images == len(self.images)
            and {*rows, *layout.absent} - {"boundary"} == {*ALWAYS, *SIGNALS}
            and set(layout.per_ablated) == {*ABLATED} & {*rows}
            and all(row[:2] == grid for row in rows.values())
            and (not layout.per_ablated or np.array_equal(layout.ablated, self.ablated))
        )

    @cached_property
    def absent(self) -> dict[str, str]:
        """Why maps are missing, by name, see :class:`Maps`; from the output for one image."""
        with torch.inference_mode():
            svd = read_output(self.model(self._first()))[1]
        found = absent_signals(svd)
        if not self._decodes:
            reason = NO_SVD if svd is None else NO_DECODER if len(self.ablated) else NOT_ASKED
            found |= dict.fromkeys(("error_only", "error_without"), reason)
        return found

    def fingerprint(self) -> str:
        """A hash of what the model gives for the first images, which may be blank, and one of noise.

        No name, config or state dict of a model need tell it. Nothing of the model is changed.
        """
        height, width = self.images.image_size
        first = self.images.tensor(0, min(MOST, max(FEWEST, PIXELS // (height * width))) - 1)
        noise = torch.rand(first[:1].shape, generator=torch.Generator().manual_seed(0))
        images = torch.cat([first, noise])
        model = replica(self.model) if replicable(self.model) else self.model
        most = Most(len(images))
        # A built-in model's decoder is that of its forward pass.
        apart = not architecture_of(model) and decodes(model, images[:1].to(self.device))
        runner = TileRunner(model, self.images, self.device, np.arange(0), apart, len(images), most)
        with self._pool(1) as pool:
            return pool.submit(runner.fingerprint, images).result()

    def maps(self, arrays: Mapping[str, np.ndarray], absent: Mapping[str, str]) -> Maps:
        """The maps that whole arrays are of; ``absent``: why others are missing."""
        return Maps(
            **{**dict.fromkeys(SIGNALS), **arrays},
            absent=dict(absent),
            ablated=self.ablated if "error_only" in arrays else None,
            labels=self.images.labels,
            groups=self.images.groups,
            classes=self.images.classes,
            patch_pixels=self.model.patch_size**2,
        )

    def run(self, shards: Sequence[Shard]) -> Iterator[tuple[Shard, Arrays]]:
        """The rows of each shard, in any order if an ``engine`` is set, of other processes.

        A shard without ablated images has none of their arrays.

        Raises:
            InputError: what :func:`tile_maps` raises.
        """
        done = len(self.images) - sum(shard.stop - shard.start for shard in shards)
        if self.engine is not None:
            with self.watch() as tell:
                for shard, arrays in self.engine(self, shards):
                    done += shard.stop - shard.start
                    tell(done)
                    yield shard, arrays
            return
        tiles = [(shard, self._tiles(shard)) for shard in shards]
        threads = self._thread_count()
        with self._pool(threads) as pool, self.watch() as tell:
            spans = (span for _, spans in tiles for span in spans)
            flow = _in_order(pool, threads, self._known_or(ThreadRunners(self._runner())), spans)
            for shard, spans in tiles:
                parts = []
                for (start, stop), found in zip(spans, flow, strict=False):
                    parts.append(found)
                    done += stop - start
                    tell(done)
                yield shard, _joined(parts)

    @contextmanager
    def _pool(self, threads: int) -> Iterator[ThreadPoolExecutor]:
        with ieee_float32(), thread_pool(threads) as pool:
            yield pool

    def _known_or(self, run: Callable[[int, int], Arrays]) -> Callable[[int, int], Arrays]:
        known, self._first_tiles = self._first_tiles, {}
        return lambda start, stop: known.pop((start, stop), None) or run(start, stop)

    def _tiles(self, shard: Shard) -> list[tuple[int, int]]:
        starts = range(shard.start, shard.stop, self.tile)
        return [(start, min(start + self.tile, shard.stop)) for start in starts]

    def _thread_count(self) -> int:
        if not replicable(self.model):
            return 1
        if self.device.type != "cpu":
            return 2  # one loads and copies while the other's tile is on the device
        at_once = max(1, self.batch // self.tile) if self.batch else torch.get_num_threads()
        return min(at_once, torch.get_num_threads())

    def _runner(self) -> TileRunner:
        # On a CPU less than a tile would change the last bits and save little.
        least = self.tile if self.device.type == "cpu" else 1
        most = Most(min(self.tile, max(least, self.batch or self.tile)), self.say)
        return TileRunner(self.model, self.images, self.device, self.ablated, self._decodes, self.tile, most)

    @cached_property
    def _decodes(self) -> bool:
        """Whether modes are ablated: some are to be, and the decoder can be run apart."""
        return bool(len(self.ablated)) and decodes(self.model, self._first())

    def _first(self) -> torch.Tensor:
        return self.images.tensor(0, 1).to(self.device)


def extract(
    model: nn.Module,
    images: ImageSet,
    *,
    device: str | torch.device = "cpu",
    ablated: np.ndarray | None = None,
    batch: int | None = None,
) -> Maps:
    """Every map of every image, in memory; the arguments are those of :class:`Extraction`."""
    extraction = Extraction(model, images, device=device, ablated=ablated, batch=batch)
    arrays = _joined([arrays for _, arrays in extraction.run(cut(len(images), SHARD_IMAGES))])
    return extraction.maps(arrays, extraction.absent)


def _in_order(
    pool: ThreadPoolExecutor, threads: int, run: Callable, spans: Iterable[tuple[int, int]]
) -> Iterator[Arrays]:
    """The results in the order of the spans, with as many under way that no thread waits."""
    waiting: deque = deque()
    for span in spans:
        waiting.append(pool.submit(run, *span))
        if len(waiting) > 2 * threads:
            yield _result(waiting.popleft())
    while waiting:
        yield _result(waiting.popleft())


def _result(future: Future[Arrays]) -> Arrays:
    """A future's result; Ctrl-C while its lock is released would else end in a RuntimeError of the lock."""
    try:
        return future.result()
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):
            raise error.__context__ from None
        raise


def _joined(parts: Sequence[Arrays]) -> Arrays:
    """Rows put together, of arrays that some parts may have no rows of."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: np.concatenate([part[name] for part in parts if name in part]) for name in names}
