"""A run as one HTML file that opens from disk, with no network and nothing beside it."""
