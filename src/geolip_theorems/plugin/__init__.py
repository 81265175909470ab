"""The pytest plugin. Its entry point loads this file alone; the rest only in a run that uses the suite.

A run uses the suite where its command line names the theorems or a file with a claim, where the project has a
``theorems.toml`` or ``[tool.geolip-theorems]`` in its ``pyproject.toml``, or where a ``conftest.py`` says
``pytest_plugins = ["geolip_theorems.plugin.suite"]``. Any other run gets no option, hook or import from it.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

import pytest

from ..io.places import part

SUITE = f"{__name__}.suite"
SETTINGS = "theorems.toml"
TABLE = re.compile(rb"^\s*\[tool\.geolip-theorems[.\]]", re.MULTILINE)
CLAIM = re.compile(rb"^@claim\(", re.MULTILINE)
LARGEST = 1 << 20  # bytes of a named file that are looked at


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, parser: pytest.Parser, args: list[str]
) -> Generator[None, None, None]:
    """Load the suite, before options are read, where the run uses it."""
    given = early_config.known_args_namespace
    named = list(places(given.file_or_dir, early_config.invocation_params.dir, given.pyargs))
    asked = any(of_theorems(place) or has_claim(place) for place in named)
    if asked or has_settings(early_config.rootpath):
        early_config.pluginmanager.import_plugin(SUITE)
    yield
    if early_config.pluginmanager.has_plugin(SUITE):
        _suggest(parser, args)


def _suggest(parser: pytest.Parser, args: list[str]) -> None:
    """Have pytest's line on an unknown option name the suite's option that may have been meant."""
    from ..io.errors import meant, printable
    from ..run.options import ALL_OPTIONS

    for word in parser.parse_known_and_unknown_args(args)[1]:
        flag = word.partition("=")[0]
        if flag.startswith("--") and (hint := meant(flag, ALL_OPTIONS)):
            parser.extra_info[printable(flag)] = hint


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Say what is missing where a claim is tested in a run that does not use the suite."""
    claimed = metafunc.definition.get_closest_marker("claim") and "geolip_theorems.questions" in sys.modules
    if claimed and not metafunc.config.pluginmanager.has_plugin(SUITE):
        raise pytest.Collector.CollectError(
            f"{metafunc.definition.nodeid} tests a claim, and this run has not loaded the suite: name the "
            f"file on the command line, add a {SETTINGS} to the project, or say pytest_plugins = [{SUITE!r}] "
            "in its topmost conftest.py"
        )


def places(words: Iterable[str], folder: Path, pyargs: bool) -> Iterator[Path]:
    """The files and folders that arguments name, resolved; with ``pyargs`` also those of modules."""
    for word in words:
        name = word.split("::")[0]
        module = pyargs and re.fullmatch(r"[A-Za-z_]\w*(\.\w+)*", name) and _module(name)
        yield module or (folder / name).resolve()


def of_theorems(place: Path) -> bool:
    """Whether a file or folder is the theorems' or in it."""
    return place.is_relative_to(part("theorems").resolve())


def _module(name: str) -> Path | None:
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    if found is None or found.origin is None:
        return None
    origin = Path(found.origin).resolve()
    return origin.parent if found.submodule_search_locations else origin


def has_claim(file: Path) -> bool:
    """Whether a file is Python with a claim in it."""
    return file.suffix == ".py" and _holds(file, CLAIM)


def has_settings(root: Path) -> bool:
    """Whether a project says what is run in it."""
    return (root / SETTINGS).is_file() or _holds(root / "pyproject.toml", TABLE)


def _holds(file: Path, pattern: re.Pattern[bytes]) -> bool:
    """Whether a file has a line that begins like the pattern."""
    if not file.is_file():
        return False
    with open(file, "rb") as opened:
        return pattern.search(opened.read(LARGEST)) is not None
