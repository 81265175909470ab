"""Tiles: the images of one forward pass, loaded, run and cut down to what was asked for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.imageset import ImageSet
from ..data.transforms import moved
from ..io.errors import InputError
from ..model.architectures import architecture_of, fast_forward, grid_shape
from .patch_maps import make_decoder, tile_maps

TILES = {"cpu": 8, "cuda": 128, "mps": 32}  # images a forward pass; fixed, so that results are too
OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")

Arrays = dict[str, np.ndarray]
Found = TypeVar("Found")


def tile_size(device: torch.device) -> int:
    """Images a forward pass on a device."""
    return TILES.get(device.type, 8)


@dataclass
class Most:
    """How many images a forward pass may hold: the tile, until the memory turns out to be too small."""

    images: int
    say: Callable[[str], None] = lambda line: None
    _lock: Any = field(default_factory=threading.Lock, repr=False)

    def halve(self, size: int) -> None:
        """After a pass of ``size`` images did not fit.

        Raises:
            InputError: it held one image.
        """
        if size <= 1:
            raise InputError(
                "the memory cannot hold the forward pass of one image; "
                "use a smaller --image-size, another --device, or close other programs"
            )
        with self._lock:
            if self.images >= size:  # no other thread did so meanwhile
                self.images = size // 2
                self.say(f"out of memory at {size} images; going on with {self.images}")


class TileRunner:
    """Computes the maps of a tile; one for each thread.

    Args:
        model, images, device, ablated: see :class:`~geolip_theorems.extraction.extract.Extraction`.
        decodes: whether the model's decoder can be run apart.
        tile: images per tile.
        most: images a pass, shared between threads.
    """

    def __init__(
        self,
        model: nn.Module,
        images: ImageSet,
        device: torch.device,
        ablated: np.ndarray,
        decodes: bool,
        tile: int,
        most: Most,
    ) -> None:
        self.model = model
        self.images = images
        self.device = device
        self.ablated = ablated
        grid = grid_shape(*images.image_size, model.patch_size)
        self.decodes = decodes
        self.forward: Callable[[Tensor], Any] = model
        decoder = make_decoder(model, grid)
        forward = fast_forward(model)
        if forward is not None:
            self.forward = forward
            decoder = partial(forward.decode, grid=grid)
        self.decoder = decoder if decodes else None
        self.tile = tile
        self.most = most

    def __call__(self, start: int, stop: int) -> Arrays:
        """Maps of images start..stop-1, float32, rows as in :class:`Maps`; ``start`` begins a tile."""
        batch = self.images.tensor(start, stop, self.device)
        missing = self.tile - len(batch)
        if missing:
            batch = torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)])
        first, last = np.searchsorted(self.ablated, (start, stop))
        chosen = np.zeros(self.tile, bool)
        chosen[self.ablated[first:last] - start] = True
        ps = self.model.patch_size
        parts = self.passes(
            batch,
            lambda images, piece: tile_maps(
                self.forward, ps, images, chosen[piece], self.decoder, start + piece.start
            ),
        )
        names = dict.fromkeys(name for part in parts for name in part)
        found = {name: torch.cat([part[name] for part in parts if name in part]).numpy() for name in names}
        found = {name: rows[: stop - start] for name, rows in found.items()}
        shares = self._boundary_shares(start, stop)
        return found if shares is None else {**found, "boundary": shares}

    def passes(self, batch: Tensor, run: Callable[[Tensor, slice], Found]) -> list[Found]:
        """What ``run`` gives for a batch on the device: for the whole of it, or for pieces that fit.

        Raises:
            InputError: the memory cannot hold one image's pass.
        """
        parts, at = [], 0
        while at < len(batch):
            piece = slice(at, at + min(self.most.images, len(batch) - at))
            try:
                parts.append(run(moved(batch[piece], self.device), piece))
                at = piece.stop
                continue
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
            # Out here the exception, and with it what the failed pass held, is gone.
            self.most.halve(piece.stop - piece.start)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        return parts

    def _boundary_shares(self, start: int, stop: int) -> np.ndarray | None:
        """(B, gh, gw) share of each patch's pixels in the true boundary mask."""
        mask = self.images.masks(start, stop)
        if mask is None:
            return None
        ps = self.model.patch_size
        n, h, w = mask.shape
        return mask.reshape(n, h // ps, ps, w // ps, ps).mean((2, 4), dtype=np.float32)


class ThreadRunners:
    """A tile runner that threads share: each gets its own replica of a model that is not ours.

    Such a model may keep things between calls; its weights are shared, and nothing else is.
    """

    def __init__(self, runner: TileRunner) -> None:
        self.runner = runner
        self._own = threading.local()

    def __call__(self, start: int, stop: int) -> Arrays:
        """See :class:`TileRunner`."""
        if not hasattr(self._own, "runner"):
            self._own.runner = self.runner if architecture_of(self.runner.model) else self._replica()
            self._own.stream = _new_stream(self.runner.device)
        with torch.cuda.stream(self._own.stream):  # on one for all a thread's maps would wait for others'
            return self._own.runner(start, stop)

    def _replica(self) -> TileRunner:
        r = self.runner
        return TileRunner(replica(r.model), r.images, r.device, r.ablated, r.decodes, r.tile, r.most)


def replica(model: nn.Module) -> nn.Module:
    """A copy of a model that shares its parameters and buffers, and nothing else that it may change."""
    weights = [*model.parameters(), *model.buffers()]
    return copy.deepcopy(model, {id(weight): weight for weight in weights})


def replicable(model: nn.Module) -> bool:
    """Whether threads can run the model side by side."""
    if architecture_of(model):
        return True
    try:
        replica(model)
    except Exception:  # whatever a foreign module's copying raises
        return False
    return True


def _new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """A stream of a CUDA device that begins after what is under way; None elsewhere."""
    if device.type != "cuda":
        return None
    stream = torch.cuda.Stream(device)
    stream.wait_stream(torch.cuda.current_stream(device))
    return stream


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or any(words in str(error) for words in OUT_OF_MEMORY)
