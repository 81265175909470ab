"""A set of images with what is known about them, read lazily and in a fixed order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy
import torch

from ..io.errors import InputError, printable
from .stores import ArrayStore, Store
from .transforms import (
    Normalize,
    Transform,
    check_channels,
    check_picture,
    count,
    parse_normalize,
)

LONGEST_CLASS_NAME = 1024  # characters
EXPECTED = (
    "expected uint8 (N, H, W, C), channels last, or float (N, C, H, W), channels second, none of them 0; "
    "give grey images their channel with images[..., None], in floats images[:, None]"
)


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one source in a fixed order; pixels are read when asked for.

    Images of one group are neighbours in their source (parts of one photograph, digits of one writer), so a
    probe must not train on some and be tested on others.
    """

    name: str  # the source's short name (digits; a folder's or file's own name)
    source: str  # one line for people about where the images come from; no local path
    store: Store  # where the pixels are
    preprocessing: str  # canonical text of what is done to them, part of a cache key
    labels: np.ndarray | None = None  # (N,) int64 class numbers
    classes: tuple[str, ...] | None = None  # the classes' names, or None without labels
    groups: np.ndarray | None = None  # (N,) int64
    substitute_for: str | None = None  # the data set this one stands in for and why
    order: np.ndarray | None = None  # (N,) int64, position in this set -> index in the store

    def __post_init__(self) -> None:
        if self.order is None:
            object.__setattr__(self, "order", np.arange(len(self.store), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.order)

    @property
    def image_size(self) -> tuple[int, int]:
        return self.store.size  # height and width after preprocessing

    @property
    def channels(self) -> int:
        return self.store.channels  # after preprocessing

    def tensor(
        self, start: int = 0, stop: int | None = None, device: torch.device | None = None
    ) -> torch.Tensor:
        """Images start..stop-1, preprocessed: (B, channels, H, W) float32, on the CPU or a CUDA device.

        An image's values depend on the image alone, never on the batch it is read in or the device.
        """
        index, found = self.order[start:stop], None
        if not len(index):
            return torch.empty(0, self.channels, *self.image_size)
        if device is not None and device.type == "cuda":
            found = self.store.on_device(index, device)
        return self.store.tensor(index) if found is None else found

    def masks(self, start: int = 0, stop: int | None = None) -> np.ndarray | None:
        """True boundary masks of images start..stop-1, (B, H, W) bool, or None where nobody knows them."""
        return self.store.masks(self.order[start:stop])

    @property
    def on_white(self) -> int:
        """How many images have an alpha channel, and so are shown on white."""
        return self.store.on_white(self.order)

    @cached_property
    def sha256(self) -> str:
        """Hash of the images' content, size, order, labels, classes and groups, hexadecimal; reads them."""
        h = hashlib.sha256(b"geolip-theorems images 1\n")
        h.update(f"{len(self)} {self.image_size}\n".encode())
        h.update(self.store.digest(self.order))
        for array in (self.labels, self.groups):
            h.update(b"-" if array is None else np.ascontiguousarray(array, "<i8").tobytes())
        h.update(repr(self.classes).encode())
        return h.hexdigest()

    def prefix(self, n: int | None) -> ImageSet:
        """The first n images (all where there are fewer or n is None)."""
        return self if n is None or n >= len(self) else self.take(np.arange(n))

    def spread_order(self) -> np.ndarray:
        """(N,) int64, an order of the images whose every prefix is spread evenly over groups and classes.

        Van der Corput's sequence in base 2 (1935), scaled to N, over the images by group and then class. The
        first 256 of it are among the first 512, so subsets of different sizes nest.
        """
        n = len(self)
        keys = [key for key in (self.labels, self.groups) if key is not None]
        home = np.lexsort(keys) if keys else np.arange(n)
        points = scipy.stats.qmc.Halton(1, scramble=False).random(1 << max(n - 1, 0).bit_length())[:, 0]
        places, first = np.unique((points * n).astype(np.int64), return_index=True)
        return home[places[np.argsort(first)]]

    def take(self, images: np.ndarray) -> ImageSet:
        """Some of the images, (M,) indices, in the order given."""
        places = np.asarray(images, np.int64)
        known = {"labels": self.labels, "groups": self.groups, "order": self.order}
        return replace(self, **{name: None if of is None else of[places] for name, of in known.items()})

    def interleaved(self) -> ImageSet:
        """The same images, one of each class in turn, if they come sorted by class; else unchanged.

        So a prefix of a sorted source holds all classes; within a class the order stays.
        """
        if self.labels is None or np.count_nonzero(np.diff(self.labels)) + 1 > len(np.unique(self.labels)):
            return self
        return self.take(interleave(self.labels))


def interleave(labels: np.ndarray) -> np.ndarray:
    """The permutation that takes the first image of each class, then the second of each, and so on."""
    by_class = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[by_class], labels[by_class], side="left")
    turn = np.empty(len(labels), np.int64)
    turn[by_class] = np.arange(len(labels)) - starts
    return np.lexsort((labels, turn))


def check_labels(images: ImageSet) -> None:
    """Raise ``InputError`` unless there are 2 classes of 2 images each, or no labels at all."""
    if images.labels is None:
        return
    counts = np.bincount(images.labels, minlength=len(images.classes))
    if np.count_nonzero(counts) < 2 or counts.min() < 2:
        few = f"class {images.classes[counts.argmin()]!r} has {counts.min()} of the {len(images)} images"
        raise InputError(
            f"{images.name}: {few}; expected more than one class and at least 2 of each class; give more "
            "images (--max-images), or leave such classes or all labels out"
        )


def from_arrays(
    images: Any,
    labels: Any = None,
    classes: Sequence[str] | None = None,
    groups: Any = None,
    *,
    name: str = "arrays",
    image_size: int | None = None,
    normalize: Normalize | None = None,
    channels: int | None = None,
) -> ImageSet:
    """An ImageSet of arrays in memory, in their order (call ``interleaved()`` for sorted ones).

    Args:
        images: (N, H, W, C) uint8, scaled to [0, 1] (and resized where ``image_size`` is given); or a float
            tensor or array (N, C, H, W), which is taken as it is.
        labels: (N,) integers, or None.
        classes: names that the labels index; without them the distinct labels name the classes.
        groups: (N,) integers, neighbours share one; or None.
        channels: the model's; 8-bit images of 3 are given as 1 by luma, of 1 as 3 by repetition. None for
            as many as the images have.

    Raises:
        InputError: wrong shapes or dtypes, NaN or infinite values, labels out of range, channels that are
            not the model's.
    """
    transform = Transform(image_size, normalize=normalize, channels=channels)
    known = {"labels": labels, "classes": classes, "groups": groups}
    return array_set(images, transform, name, "arrays given from Python", **known)


def array_set(
    images: Any,
    transform: Transform,
    name: str,
    source: str,
    *,
    labels: Any,
    classes: Sequence[str] | None,
    groups: Any = None,
) -> ImageSet:
    """The same with a source of its own and what is done to 8-bit images in one."""
    if not isinstance(images, torch.Tensor):
        images = np.asarray(images)
    dtype, shape = str(images.dtype).removeprefix("torch."), tuple(images.shape)
    if "float" in dtype and len(shape) == 4 and 0 not in shape:
        tensor = torch.as_tensor(images).detach().to("cpu", torch.float32).contiguous()
        _check_floats(tensor, transform.channels, f"{name}: float images {shape}")
        store, preprocessing = ArrayStore(tensor.numpy()), "as-given"
    else:
        wanted = transform.channels
        check_pixels(dtype, shape, wanted, name, EXPECTED)
        wanted = shape[3] if wanted is None else wanted
        norm = parse_normalize(transform.normalize, wanted)
        transform = replace(transform, normalize=norm, channels=wanted)
        store, preprocessing = ArrayStore(np.asarray(images), transform), transform.describe(shape[3])
    labels = _integers(labels, "labels", len(store), name)
    groups = _integers(groups, "groups", len(store), name)
    labels, classes = _name_classes(labels, classes, name)
    return ImageSet(name, source, store, preprocessing, labels, classes, groups)


def check_pixels(dtype: Any, shape: tuple, channels: int | None, name: str, expected: str) -> None:
    """Raise ``InputError`` unless it is uint8 (N, H, W, C) of pictures for a model of so many channels."""
    right = str(dtype) == "uint8" and len(shape) == 4 and 0 not in shape
    likely = (1, 3, channels)  # of channels; no image has so few rows
    if not right or (shape[1] in likely and shape[3] not in likely):
        raise InputError(f"{name}: images are {printable(f'{dtype} {shape}', 160)}; {expected}")
    check_channels(shape[3], channels or shape[3], name)
    check_picture(shape[2], shape[1], f"{name}: each image")


def check_numbers(dtype: np.dtype, shape: tuple, n: int, what: str) -> None:
    """Raise ``InputError`` unless it is whole numbers (n,)."""
    if dtype.kind not in "iu" or shape != (n,):
        raise InputError(
            f"{what} are {printable(f'{dtype} {shape}', 160)}; expected integers ({n},), one for each image; "
            "of names or rows take np.unique(names, return_inverse=True)[1] or rows.argmax(1)"
        )


def _check_floats(tensor: torch.Tensor, channels: int | None, what: str) -> None:
    """For (N, C, H, W) that is taken as it is: channels, finite values, and no 8-bit ones by mistake."""
    shape = tensor.shape
    if shape[3] in (1, 3) and min(shape[1:3]) > 3:
        raise InputError(f"{what}; {EXPECTED}")
    if channels not in (None, shape[1]):
        raise InputError(
            f"{what} are taken as they are and the model takes {count(channels)}; give "
            f"(N, {channels}, H, W), or set the model's attribute channels if it takes others"
        )
    finite = torch.isfinite(tensor).flatten(1).all(1)
    if not finite.all():
        raise InputError(
            f"{what}: image {int(finite.int().argmin())} holds NaN or infinite values; expected none"
        )
    low, high = float(tensor.min()), float(tensor.max())
    if high >= 2 and bool((tensor == tensor.round()).all()):
        raise InputError(
            f"{what} hold whole numbers from {low:g} to {high:g}; expected values as the model takes them, "
            "mostly 0 to 1; divide by 255, or give uint8 (N, H, W, C)"
        )


def _integers(values: Any, what: str, n: int, name: str) -> np.ndarray | None:
    if values is None:
        return None
    array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    check_numbers(array.dtype, array.shape, n, f"{name}: {what}")
    if array.dtype.kind == "u" and array.max() > np.iinfo(np.int64).max:
        raise InputError(f"{name}: {what} go up to {array.max()}; expected numbers below 2^63")
    return array.astype(np.int64)


def _name_classes(
    labels: np.ndarray | None, classes: Sequence[str] | None, name: str
) -> tuple[np.ndarray | None, tuple[str, ...] | None]:
    if labels is None:
        if classes is not None:
            raise InputError(f"{name}: classes without labels; give one label an image, or no classes")
        return None, None
    if classes is None:
        found, numbers = np.unique(labels, return_inverse=True)
        return numbers.astype(np.int64), tuple(map(str, found))
    distinct = tuple(printable(value, LONGEST_CLASS_NAME) for value in dict.fromkeys(map(str, classes)))
    if not len(set(distinct)) == len(classes) >= 1:
        raise InputError(f"{name}: {len(classes)} class names, not all different; expected distinct names")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= len(distinct):
        raise InputError(
            f"{name}: labels go from {low} to {high}; expected 0 to {len(distinct) - 1} for the "
            f"{len(distinct)} classes"
        )
    return labels, distinct
