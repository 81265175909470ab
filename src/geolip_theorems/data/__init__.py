"""Image sources: named sets, folders, files and arrays, all as an ``ImageSet``."""
