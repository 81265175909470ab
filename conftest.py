"""Registers the suite's plugins; everything they do is in ``fixtures/``."""

pytest_plugins = [
    "pytester",
    "fixtures.start",  # first: the others load torch
    "fixtures.options",
    "fixtures.subjects",
    "fixtures.analyses",
    "fixtures.verdicts",
    "fixtures.baseline",
    "fixtures.results",
    "fixtures.benchmarks",
]
