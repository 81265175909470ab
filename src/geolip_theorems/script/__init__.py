"""The original script's protocol, frozen: nothing is built on it."""

from .protocol import script_accuracies, script_protocol

__all__ = ["script_accuracies", "script_protocol"]
