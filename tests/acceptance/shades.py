"""An image source in one file: grain on a dark or on a bright ground."""

import numpy as np

from geolip_theorems.data.imageset import array_set
from geolip_theorems.data.sources import SOURCES, ImageSource


def shades(asked):
    """64 images of 32x32 pixels, dark and bright in turn."""
    labels = np.arange(64) % 2
    grain = np.random.default_rng(0).integers(0, 100, (64, 32, 32, 3))
    pixels = (grain + 100 * labels[:, None, None, None]).astype(np.uint8)
    about = "64 images of grain, dark or bright"
    return array_set(pixels, asked.transform, "shades", about, labels=labels, classes=["dark", "bright"])


SOURCES.add(ImageSource("shades", "grain on a dark or on a bright ground", shades))
