"""Registers the suite's plugins, as its entry point does where it is installed, and the benchmarks'."""

PLUGINS = ("pytester", "geolip_theorems.plugin", "geolip_theorems.plugin.suite", "fixtures.benchmarks")


def pytest_addoption(pluginmanager):
    """Not by ``pytest_plugins``, which pytest refuses where this folder is not the run's own topmost one."""
    for name in PLUGINS:
        pluginmanager.import_plugin(name)
