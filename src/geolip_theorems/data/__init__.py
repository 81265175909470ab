"""Image sources: named sets, folders, files and arrays, all as an ``ImageSet``."""

from .imageset import ImageSet, check_labels, from_arrays
from .sources import load_images, names

__all__ = ["ImageSet", "check_labels", "from_arrays", "load_images", "names"]
