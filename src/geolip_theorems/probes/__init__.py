"""Probes: what the maps tell about the class of an image."""
