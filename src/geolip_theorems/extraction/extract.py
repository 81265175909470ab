"""One pass of a model over an image set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn

from ..data import ImageSet
from ..errors import InputError
from .maps import ABLATED, Maps
from .patch_maps import decoder_of, tile_maps

EXTRACTION_VERSION = 2  # part of the cache key: raise it when a map's definition or arithmetic changes
TILES = {"cpu": 8, "cuda": 128, "mps": 32}  # images a forward pass; fixed, so that results are too

Progress = Callable[[int, int], None]


def tile_size(device: torch.device) -> int:
    """Images a forward pass on a device."""
    return TILES.get(device.type, 8)


def extract(
    model: nn.Module,
    images: ImageSet,
    *,
    device: str | torch.device = "cpu",
    ablated: np.ndarray | None = None,
    progress: Progress | None = None,
) -> Maps:
    """Every map of every image; the encoder runs once an image.

    Args:
        model: see :func:`~geolip_theorems.extraction.patch_maps.tile_maps`.
        images: the image set.
        device: where the model is.
        ablated: (A,) which images get ablated errors, ascending; None for all.
        progress: called with (images done, images in all) after each tile.

    Returns:
        The maps, in memory. The forward pass runs in tiles of a fixed size, the last one filled up, so
        an image's values do not depend on how many images are measured.

    Raises:
        InputError: no images, no patch size, or what :func:`tile_maps` raises.

    Cost: one forward pass an image; each ablated image adds 2 D decoder passes; the rest is under 5 %.
    """
    if not len(images):
        raise InputError(f"data set {images.name!r} has no images")
    if not hasattr(model, "patch_size"):
        raise InputError("the model has no patch_size; only patch models can be measured")
    device = torch.device(device)
    count, tile = len(images), tile_size(device)
    ablated = np.arange(count) if ablated is None else np.asarray(ablated, np.int64)
    decoder = decoder_of(model, images.tensor(0, 1).to(device)) if len(ablated) else None
    collected: dict[str, np.ndarray] = {}
    for start, batch in _tiles(images, tile):
        stop = min(start + tile, count)
        first, last = np.searchsorted(ablated, (start, stop))
        chosen = torch.zeros(tile, dtype=torch.bool, device=device)
        chosen[torch.from_numpy(ablated[first:last] - start)] = True
        found = tile_maps(model, batch.to(device), chosen, decoder)
        for name, value in found.items():
            rows, begin, end = (len(ablated), first, last) if name in ABLATED else (count, start, stop)
            if name not in collected:
                collected[name] = np.empty((rows, *value.shape[1:]), np.float32)
            collected[name][begin:end] = value[: end - begin].numpy()
        if progress is not None:
            progress(stop, count)
    return Maps(
        **{"error_only": None, "error_without": None, **collected},
        ablated=ablated if "error_only" in collected else None,
        boundary=_boundary_shares(images, model.patch_size),
        labels=images.labels,
        groups=images.groups,
        classes=images.classes,
        patch_pixels=model.patch_size**2,
    )


def _tiles(images: ImageSet, tile: int) -> Iterator[tuple[int, Tensor]]:
    """(start, batch) of full tiles, each loaded while the one before is measured."""
    count = len(images)

    def load(start: int) -> Tensor:
        batch = images.tensor(start, min(start + tile, count))
        missing = tile - len(batch)
        return torch.cat([batch, batch[:1].expand(missing, -1, -1, -1)]) if missing else batch

    with ThreadPoolExecutor(1) as loader:
        ahead = loader.submit(load, 0)
        for start in range(0, count, tile):
            batch = ahead.result()
            if start + tile < count:
                ahead = loader.submit(load, start + tile)
            yield start, batch


def _boundary_shares(images: ImageSet, ps: int) -> np.ndarray | None:
    """(N, gh, gw) share of each patch's pixels in the true boundary mask."""
    if images.masks(0, 1) is None:
        return None
    shares = []
    for start in range(0, len(images), 256):
        mask = images.masks(start, start + 256)
        n, h, w = mask.shape
        shares.append(mask.reshape(n, h // ps, ps, w // ps, ps).mean((2, 4), dtype=np.float32))
    return np.concatenate(shares)
