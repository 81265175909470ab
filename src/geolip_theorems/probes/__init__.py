"""Probes: what the maps tell about the class of an image."""

PROBES = ("ridge", "conv")  # what questions that train a readout may train
