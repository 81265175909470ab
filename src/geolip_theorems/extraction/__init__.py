"""One pass of a model over an image set, and the maps it leaves on disk."""

DEFAULT_LIMIT_GB = 10.0  # of the cache of maps
