"""One pass of a model over an image set, and the maps it leaves on disk."""

from .extract import EXTRACTION_VERSION, extract
from .maps import Maps

__all__ = ["EXTRACTION_VERSION", "Maps", "extract"]
