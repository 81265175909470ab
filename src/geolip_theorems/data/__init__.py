"""Image sources: named sets, folders, files and arrays, all as an ``ImageSet``."""

from .imageset import ImageSet, check_labels, from_arrays
from .sources import load_images, names
from .transforms import check_patch

__all__ = ["ImageSet", "check_labels", "check_patch", "from_arrays", "load_images", "names"]
