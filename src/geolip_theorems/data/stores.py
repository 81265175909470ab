"""Where an image set's pixels are: in an array, a generator or (see sources/folder.py) in files.

A store is addressed by original index, so that reordering and taking a prefix cost nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
import torch

from .transforms import Transform

HASHED_AT_ONCE = 256
KEPT_BYTES = 256 << 20  # of a generated set's latest blocks


class Store(Protocol):
    """What an ImageSet asks of the place its pixels are in."""

    size: tuple[int, int]  # height and width after preprocessing
    channels: int  # after preprocessing

    def __len__(self) -> int: ...

    def tensor(self, index: np.ndarray) -> torch.Tensor:
        """Preprocessed images (len(index), channels, H, W) float32, at least one; new memory."""

    def on_device(self, index: np.ndarray, device: torch.device) -> torch.Tensor | None:
        """The same bits, made on a device from fewer bytes; None where that saves nothing."""
        return None

    def masks(self, index: np.ndarray) -> np.ndarray | None:
        """True boundary masks (len(index), H, W) bool, or None where there are none."""
        return None

    def on_white(self, index: np.ndarray) -> int:
        """How many of the images have an alpha channel, and so are shown on white."""
        return 0

    def digest(self, index: np.ndarray) -> bytes:
        """A hash of the images' content, before preprocessing, in this order."""


class ArrayStore(Store):
    """Images in memory: (N, H, W, C) uint8 to be transformed, or inputs (N, C, H, W) float32 as they are."""

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

    def on_device(self, index: np.ndarray, device: torch.device) -> torch.Tensor | None:
        return self.transform and self.transform.of_one_size(self.images[index], device)

    def digest(self, index: np.ndarray) -> bytes:
        h = hashlib.sha256(f"{self.images.dtype.str} {self.images.shape[1:]}".encode())
        for start in range(0, len(index), HASHED_AT_ONCE):
            h.update(np.ascontiguousarray(self.images[index[start : start + HASHED_AT_ONCE]]).tobytes())
        return h.digest()


@dataclass(eq=False)
class GeneratedStore(Store):
    """Images made from a seed, block by block, as many as are wanted; the latest blocks are kept.

    The hash covers the recipe, the indices and the first block's true bytes instead of all images, so that
    a set larger than memory is not made twice; the bytes catch a generator that changed under its name.

    """

    # Block number -> images (block, H, W, 3) uint8 or (block, channels, H, W) float32, masks (block, H, W)
    # bool or None; picklable for worker processes.
    generate: Callable[[int], tuple[Any, np.ndarray | None]]
    block: int  # images per block
    length: int  # images in all
    size: tuple[int, int]  # height and width, at which images are made
    recipe: str  # names generator, version, seed and size
    transform: Transform | None = None  # of 8-bit images
    channels: int = 3  # of the images after the transform

    def __post_init__(self) -> None:
        self._kept: dict[int, tuple[Any, np.ndarray | None]] = {}  # the latest last
        self._making = threading.Lock()  # threads that want the same block make it once

    def __reduce__(self) -> tuple[Any, ...]:
        return GeneratedStore, tuple(getattr(self, field.name) for field in fields(self))

    def __len__(self) -> int:
        return self.length

    def _block(self, number: int) -> tuple[Any, np.ndarray | None]:
        with self._making:
            found = self._kept.pop(number, None) or self.generate(number)
            self._kept[number] = found
            if len(self._kept) > max(2, KEPT_BYTES // max(1, found[0].nbytes)):
                del self._kept[next(iter(self._kept))]
        return found

    def _gather(self, index: np.ndarray, part: int) -> list[Any]:
        numbers = index // self.block
        runs = np.split(index, np.flatnonzero(np.diff(numbers)) + 1)
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
