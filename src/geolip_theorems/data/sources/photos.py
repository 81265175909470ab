"""Crops of the photographs that come with scikit-image and scikit-learn: nothing is downloaded."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from PIL import Image

from ...io.errors import InputError
from ..imageset import ImageSet, array_set
from . import Asked

# class: (package, file); all are in the wheels, scikit-image's from 0.22 on at least.
PHOTOS = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg"),
    "ihc": ("skimage", "data/ihc.png"),
    "retina": ("skimage", "data/retina.jpg"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
}
CROP = 32
CROPS_A_CLASS = 120  # what the smallest photograph (chelsea, 123) can give, so that chance is 1 in 10
UNIFORM_STD = 8  # of 255: below this in every channel a crop is sky, table or the black around a retina
BLOCK_SIDE = 4  # crops; a group is a block of 4x4 crops, 128x128 pixels of one photograph


def open_images(asked: Asked) -> ImageSet:
    """Crops of ten photographs: colour texture whose place in the crop says nothing about its class.

    Each photograph is cut on a fixed grid into 32x32 crops that do not overlap; nearly uniform ones are left
    out and 120 of the rest kept, evenly spread over the photograph. Neighbouring crops look alike, so crops
    of one 128x128 block of a photograph share a group.

    Raises:
        InputError: the installed scikit-image or scikit-learn lacks a photograph.
    """
    crops, groups, first_group = [], [], 0
    for name in PHOTOS:
        own, block = photo_crops(name)
        kept = np.flatnonzero(~nearly_uniform(own))
        kept = kept[np.arange(CROPS_A_CLASS) * len(kept) // CROPS_A_CLASS]
        crops.append(own[kept])
        groups.append(first_group + block[kept])
        first_group += int(block.max()) + 1
    labels = np.repeat(np.arange(len(PHOTOS)), CROPS_A_CLASS)
    source = (
        f"{len(labels):,} crops of {CROP}x{CROP} pixels from {len(PHOTOS)} photographs that come with "
        "scikit-image and scikit-learn"
    )
    known = {"labels": labels, "classes": list(PHOTOS), "groups": np.concatenate(groups)}
    return array_set(np.concatenate(crops), asked.transform, "photos", source, **known).interleaved()


def photo_crops(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All crops of a photograph in row-major order, (n, 32, 32, 3) uint8, and the block each is in, (n,)."""
    package, file = PHOTOS[name]
    try:
        with Image.open(files(package) / file) as image:
            pixels = np.asarray(image.convert("RGB"))
    except OSError:
        distribution = {"skimage": "scikit-image", "sklearn": "scikit-learn"}[package]
        raise InputError(
            f"photos: the installed {distribution} has no readable {file}; reinstall {distribution} from its "
            "wheel or use another --dataset"
        ) from None
    rows, columns = pixels.shape[0] // CROP, pixels.shape[1] // CROP
    crops = pixels[: rows * CROP, : columns * CROP].reshape(rows, CROP, columns, CROP, 3)
    row, column = np.divmod(np.arange(rows * columns), columns)
    block = row // BLOCK_SIDE * -(-columns // BLOCK_SIDE) + column // BLOCK_SIDE
    return crops.swapaxes(1, 2).reshape(-1, CROP, CROP, 3), block


def nearly_uniform(crops: np.ndarray) -> np.ndarray:
    """Whether no channel of a crop (n, h, w, 3) uint8 has a standard deviation of 8 of 255; (n,) bool."""
    values = crops.reshape(len(crops), -1, 3).astype(np.int64)
    n = values.shape[1]
    # n^2 times the variance in whole numbers, so that no rounding decides.
    spread = n * (values**2).sum(1) - values.sum(1) ** 2
    return (spread < (UNIFORM_STD * n) ** 2).all(1)
