"""Where an image set's pixels are: in an array, a generator or (see sources/folder.py) in files.

A store is addressed by original index, so that reordering and taking a prefix cost nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch

from .transforms import Transform

HASHED_AT_ONCE = 256


class Store(Protocol):
    """What an ImageSet asks of the place its pixels are in."""

    size: tuple[int, int]  # height and width after preprocessing
    channels: int  # after preprocessing

    def __len__(self) -> int: ...

    def tensor(self, index: np.ndarray) -> torch.Tensor:
        """Preprocessed images (len(index), channels, H, W) float32, at least one; new memory."""

    def masks(self, index: np.ndarray) -> np.ndarray | None:
        """True boundary masks (len(index), H, W) bool, or None where there are none."""
        return None

    def on_white(self, index: np.ndarray) -> int:
        """How many of the images have an alpha channel, and so are shown on white."""
        return 0

    def digest(self, index: np.ndarray) -> bytes:
        """A hash of the images' content, before preprocessing, in this order."""


class ArrayStore(Store):
    """Images in memory.

    Args:
        images: (N, H, W, C) uint8, or ready-made inputs (N, C, H, W) float32, taken as they are.
        transform: what turns 8-bit images into the model's input, batch by batch.
    """

    def __init__(self, images: np.ndarray, transform: Transform | None = None) -> None:
        self.images = images
        self.transform = transform
        if transform is None:
            self.channels, *size = images.shape[1:]
            self.size = tuple(size)
        else:
            self.channels = transform.channels or images.shape[3]
            self.size = transform.output_size(*images.shape[1:3])

    def __len__(self) -> int:
        return len(self.images)

    def tensor(self, index: np.ndarray) -> torch.Tensor:
        if self.transform is None:
            return torch.from_numpy(self.images[index])
        if self.size == self.images.shape[1:3]:
            return self.transform.to_tensor(self.images[index])
        return self.transform.to_tensor(np.stack([self.transform.array(self.images[i]) for i in index]))

    def digest(self, index: np.ndarray) -> bytes:
        h = hashlib.sha256(f"{self.images.dtype.str} {self.images.shape[1:]}".encode())
        for start in range(0, len(index), HASHED_AT_ONCE):
            h.update(np.ascontiguousarray(self.images[index[start : start + HASHED_AT_ONCE]]).tobytes())
        return h.digest()


class GeneratedStore(Store):
    """Images made from a seed, block by block, as many as are wanted; the latest blocks are kept.

    The hash covers the recipe, the indices and the first block's true bytes instead of all images, so that
    a set larger than memory is not made twice; the bytes catch a generator that changed under its name.

    Args:
        generate: block number -> (images, masks or None); the images are (block, H, W, 3) uint8 or
            (block, channels, H, W) float32, the masks (block, H, W) bool. Must be picklable for worker
            processes.
        block: images per block.
        length: images in all.
        recipe: text that names generator, version, seed and size.
        transform: applied to 8-bit images (never a resize: they are made at their final size).
        channels: of the images after the transform.
    """

    KEPT_BYTES = 256 << 20

    def __init__(
        self,
        generate: Callable[[int], tuple[Any, np.ndarray | None]],
        *,
        block: int,
        length: int,
        size: int,
        recipe: str,
        transform: Transform | None = None,
        channels: int = 3,
    ) -> None:
        self.generate = generate
        self.block = block
        self.length = length
        self.size = (size, size)
        self.recipe = recipe
        self.transform = transform
        self.channels = channels
        self._kept: OrderedDict[int, tuple[Any, np.ndarray | None]] = OrderedDict()
        self._making = threading.Lock()  # threads that want the same block make it once

    def __getstate__(self) -> dict[str, Any]:
        state = {**self.__dict__, "_kept": OrderedDict()}  # a worker makes its own blocks
        del state["_making"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _making=threading.Lock())

    def __len__(self) -> int:
        return self.length

    def _block(self, number: int) -> tuple[Any, np.ndarray | None]:
        with self._making:
            found = self._kept.pop(number, None)
            if found is None:
                found = self.generate(number)
            self._kept[number] = found
            kept = max(2, self.KEPT_BYTES // max(1, found[0].nbytes))
            while len(self._kept) > kept:
                self._kept.popitem(last=False)
        return found

    def _gather(self, index: np.ndarray, part: int) -> list[Any]:
        numbers = index // self.block
        cuts = np.flatnonzero(np.diff(numbers)) + 1
        runs = np.split(index, cuts) if len(index) else []
        return [self._block(int(run[0]) // self.block)[part][run % self.block] for run in runs]

    def tensor(self, index: np.ndarray) -> torch.Tensor:
        parts = self._gather(index, 0)
        if self.transform is None:
            return torch.cat([torch.as_tensor(part) for part in parts])
        return self.transform.to_tensor(np.concatenate(parts))

    def masks(self, index: np.ndarray) -> np.ndarray | None:
        if self._block(0)[1] is None:
            return None
        return np.concatenate(self._gather(index, 1)) if len(index) else np.empty((0, *self.size), bool)

    def digest(self, index: np.ndarray) -> bytes:
        h = hashlib.sha256(self.recipe.encode())
        h.update(np.ascontiguousarray(index, "<i8").tobytes())
        for part in self._block(0):
            if part is not None:
                h.update(np.ascontiguousarray(part).tobytes())  # tensors too
        return h.digest()
