"""The handwritten digits that come with scikit-learn: nothing is downloaded."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from ..imageset import ImageSet, array_set
from . import Asked

WRITERS = 13


def open_images(asked: Asked) -> ImageSet:
    """Scikit-learn's 1,797 handwritten digits as grey RGB images, round(v * 255 / 16), in their own order.

    They are the test part of a UCI set (Alpaydin and Kaynak, 1998), written by 13 people one after the other;
    who wrote which is not recorded, so the groups are 13 runs of equal length, which keeps all but the digits
    at a run's two ends with their writer.
    """
    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
    n = len(grey)
    return array_set(
        np.repeat(grey[..., None], 3, axis=3),
        asked.transform,
        "digits",
        f"scikit-learn's {n:,} handwritten digits, 8x8 pixels",
        labels=data.target,
        classes=[str(name) for name in data.target_names],
        groups=np.arange(n) * WRITERS // n,
    )
