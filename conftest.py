"""Registers the suite's plugins, as its entry point does where it is installed, and the benchmarks'."""

pytest_plugins = [
    "pytester",
    "geolip_theorems.plugin",
    "geolip_theorems.plugin.suite",
    "fixtures.benchmarks",
]
