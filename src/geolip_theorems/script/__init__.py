"""The original script's protocol, frozen: nothing is built on it and it is built on nothing that may change."""

from .protocol import script_accuracies, script_protocol

__all__ = ["script_accuracies", "script_protocol"]
