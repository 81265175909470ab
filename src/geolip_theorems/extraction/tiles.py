"""Tiles: the images of one forward pass, loaded, run and cut down to what was asked for."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.imageset import ImageSet
from ..data.transforms import moved
from ..io.errors import InputError
from ..model.architectures import architecture_of, fast_forward, grid_shape
from ..model.sources import tensors_sha256
from .patch_maps import make_decoder, tile_maps
from .signals import read_output

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
        """After a pass of ``size`` images did not fit; ``InputError`` where it held one image."""
        if size <= 1:
            raise InputError(
                "the memory cannot hold the forward pass of one image; "
                "use a smaller --image-size, another --device, or close other programs"
            )
        with self._lock:
            if self.images >= size:  # no other thread did so meanwhile
                self.images = size // 2
                self.say(f"out of memory at {size} images; going on with {self.images}")


@dataclass(eq=False, repr=False)
class TileRunner:
    """Computes the maps of a tile; one for each thread. ``decodes``: the model's decoder can be run apart."""

    model: nn.Module
    images: ImageSet
    device: torch.device
    ablated: np.ndarray
    decodes: bool
    tile: int
    most: Most

    def __post_init__(self) -> None:
        fast = fast_forward(self.model)
        self.forward: Callable[[Tensor], Any] = self.model if fast is None else fast
        grid = grid_shape(*self.images.image_size, self.model.patch_size)
        decoder = make_decoder(self.model, grid) if fast is None else partial(fast.decode, grid=grid)
        self.decoder = decoder if self.decodes else None

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
        """What ``run`` gives for a batch on the device, or for pieces of it that fit the memory."""
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

    @torch.inference_mode()
    def fingerprint(self, images: Tensor) -> str:
        """Hex SHA-256 of what the model gives for some images, (B, C, H, W) float32 on the CPU.

        The decoder, if any, is given a mixture of the modes. The same for any number of processes;
        a model that does not repeat itself never has the same one twice.
        """

        def run(part: Tensor, piece: slice) -> dict[str, Tensor]:
            recon, svd = read_output(self.forward(part))
            out = {"recon": recon, "svd": svd}
            if self.decoder is not None and svd is not None:
                modes = 1 / torch.arange(1, svd["S"].shape[-1] + 1, device=part.device)
                out["mixed"] = self.decoder(svd, modes)
            return _named(out, f"{piece.start}")

        found = self.passes(images, run)
        return tensors_sha256({name: value for part in found for name, value in part.items()})

    def _boundary_shares(self, start: int, stop: int) -> np.ndarray | None:
        """(B, gh, gw) share of each patch's pixels in the true boundary mask."""
        mask = self.images.masks(start, stop)
        if mask is None:
            return None
        ps = self.model.patch_size
        n, h, w = mask.shape
        return mask.reshape(n, h // ps, ps, w // ps, ps).mean((2, 4), dtype=np.float32)


def _named(found: Any, name: str) -> dict[str, Tensor]:
    """The arrays of an output by their place in it; whatever else is there is left to the extraction."""
    if isinstance(found, Mapping):
        return {k: v for key in found for k, v in _named(found[key], f"{name}.{key}").items()}
    return {name: found} if isinstance(found, Tensor) else {}


class ThreadRunners:
    """A tile runner that threads share: each gets its own replica of a model that is not ours."""

    def __init__(self, runner: TileRunner) -> None:
        self.runner = runner
        self._own = threading.local()

    def __call__(self, start: int, stop: int) -> Arrays:
        if not hasattr(self._own, "runner"):
            model, own = self.runner.model, self.runner
            self._own.runner = own if architecture_of(model) else replace(own, model=replica(model))
            self._own.stream = _new_stream(self.runner.device)
        with torch.cuda.stream(self._own.stream):  # on one for all a thread's maps would wait for others'
            return self._own.runner(start, stop)


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
