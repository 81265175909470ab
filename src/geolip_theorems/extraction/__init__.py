"""One pass of a model over an image set, and the maps it leaves on disk."""

from .extract import EXTRACTION_VERSION, Extraction, extract
from .maps import Maps

__all__ = ["EXTRACTION_VERSION", "Extraction", "Maps", "extract"]
