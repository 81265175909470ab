"""Real images that come with the packages this one needs: nothing is downloaded."""

from __future__ import annotations

import numpy as np

from .imageset import ImageSet, from_arrays
from .transforms import Normalize

DIGITS_WRITERS = 13


def digits(image_size: int, normalize: Normalize | None = None) -> ImageSet:
    """Scikit-learn's 1,797 handwritten digits as grey RGB images, in their own order.

    The 8x8 images hold 0..16, which become round(v * 255 / 16). They are the test part of the UCI "Optical
    Recognition of Handwritten Digits" set (Alpaydin and Kaynak, 1998), written by 13 people one after
    the other; who wrote which is not recorded, so the groups are 13 runs of consecutive digits of equal
    length (138 or 139), which keeps all but the digits at a run's two ends with their writer.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    grey = np.rint(data.images * (255 / 16)).astype(np.uint8)
    n = len(grey)
    return from_arrays(
        np.repeat(grey[..., None], 3, axis=3),
        data.target,
        [str(name) for name in data.target_names],
        np.arange(n) * DIGITS_WRITERS // n,
        name="digits",
        source=f"scikit-learn's {n:,} handwritten digits, 8x8 pixels",
        image_size=image_size,
        normalize=normalize,
    )
