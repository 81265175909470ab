"""One pass of a model over an image set, and the maps it leaves on disk."""
