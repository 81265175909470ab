"""``--dataset``: the image sources by name, and how a name, a folder or a file becomes an ImageSet."""

from __future__ import annotations

from pathlib import Path

from ..errors import unknown
from .bundled import digits
from .imageset import ImageSet
from .transforms import check_image_size, parse_normalize

DESCRIPTIONS = {
    "digits": "scikit-learn's 1,797 handwritten digits; always there",
}


def names() -> dict[str, str]:
    """The data sets known by name, each with a line about it."""
    return dict(DESCRIPTIONS)


def load_images(
    spec: str,
    *,
    image_size: int = 64,
    max_images: int | None = None,
    data_root: str | Path | None = None,
    offline: bool = False,
    seed: int = 0,
    normalize: str | None = "none",
) -> ImageSet:
    """Load an image source."""
    size, norm = check_image_size(image_size), parse_normalize(normalize)
    if spec == "digits":
        return digits(size, norm).prefix(max_images)
    raise unknown("dataset", spec, names())
