"""A run as one HTML file that opens from disk, with no network and nothing beside it."""

from .write import write_report

__all__ = ["write_report"]
