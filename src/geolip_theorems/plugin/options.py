"""The suite's command line, and what the rest of the plugins read from it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ..compare.baselines import check_name
from ..compare.baselines import find as find_baseline
from ..data.sources import find_source
from ..io.errors import InputError
from ..model.known import check_model
from ..questions import Claim, claims
from ..questions.base import with_thresholds
from ..run.options import ALL_OPTIONS, RUN_OPTIONS, RUNNER, RunOptions, read_options, undefaulted
from ..run.settings import (
    PROFILE,
    Expectation,
    Settings,
    load_claims,
    load_expectations,
    load_settings,
    read_expectations,
)


@dataclass(frozen=True)
class SuiteOptions:
    """What a command line comes to where an option's value is not all; ``claims``: those on request too."""

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    run: RunOptions
    claims: tuple[Claim, ...]
    expectations: tuple[Expectation, ...]
    baseline: Path | None
    save_baseline: str | None


OPTIONS_KEY = pytest.StashKey[SuiteOptions]()
SETTINGS_KEY = pytest.StashKey[Settings]()


@contextmanager
def usage_errors(lead: str = "") -> Iterator[None]:
    """What cannot be used ends the run in a line: ``pytest.UsageError`` in place of ``InputError``."""
    try:
        yield
    except InputError as error:
        raise pytest.UsageError(f"{lead}{error}") from None


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("theorems", "theorems: subject, verdicts, reports")
    for flag, keywords in ALL_OPTIONS.items():
        group.addoption(flag, **undefaulted(keywords))


def settings(config: pytest.Config) -> Settings:
    """The project's settings, read once."""
    if SETTINGS_KEY not in config.stash:
        with usage_errors():
            given = config.getoption("--model")
            config.stash[SETTINGS_KEY] = load_settings(config.rootpath, config.getoption(PROFILE), given)
    return config.stash[SETTINGS_KEY]


def option(config: pytest.Config, flag: str) -> Any:
    """An option's value: what the command line says, else the project's settings, else its default."""
    given = config.getoption(flag)
    return settings(config).options.get(flag, ALL_OPTIONS[flag]["default"]) if given is None else given


def effective(config: pytest.Config) -> dict[str, Any]:
    """What the run was made with, as it stands in a record: names as given, and what figures depend on."""
    options = suite_options(config)
    values = {flag.removeprefix("--"): option(config, flag) for flag in RUN_OPTIONS if flag != PROFILE}
    return {
        "file": settings(config).file,
        "profile": config.getoption(PROFILE),
        "models": [portable(name) for name in options.models],
        "datasets": [portable(name) for name in options.datasets],
        "options": {name: portable(str(v)) if isinstance(v, Path) else v for name, v in values.items()},
        "thresholds": {claim.name: claim.threshold for claim in asked_claims(config)},
    }


def portable(name: str) -> str:
    """A name, an absolute path cut to its last part: settings tell nothing of a machine."""
    return os.path.basename(name) if os.path.isabs(name) and name != os.devnull else name


def as_typed(config: pytest.Config) -> list[str]:
    """The words of the command, absolute paths relative to its folder; of those elsewhere only the name."""
    runner = config.pluginmanager.get_plugin(RUNNER)
    words, here = ["geolip-theorems" if runner else "pytest"], config.invocation_params.dir
    for word in map(str, runner.typed if runner else config.invocation_params.args):
        flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        inside = os.path.isabs(value) and Path(value).is_relative_to(here)
        words.append(flag + equals + (os.path.relpath(value, here) if inside else portable(value)))
    return words


def run_options_given(config: pytest.Config) -> list[str]:
    """The words of the command line that set what figures and verdicts depend on, and where the maps are."""
    words = []
    for flag in (*RUN_OPTIONS, "--cache-dir"):
        value = option(config, flag)
        if value != ALL_OPTIONS[flag]["default"]:
            words += [flag] if value is True else [flag, str(value)]
    return words


def suite_options(config: pytest.Config) -> SuiteOptions:
    """The options, read once."""
    if OPTIONS_KEY not in config.stash:
        with usage_errors():
            config.stash[OPTIONS_KEY] = _read(config)
    return config.stash[OPTIONS_KEY]


def asked_claims(config: pytest.Config) -> tuple[Claim, ...]:
    """The claims of every run, those of questions that a test file registers too, with its thresholds."""
    known = {claim.name: claim for claim in suite_options(config).claims}
    return tuple(known.get(claim.name, claim) for claim in claims())


def check_subjects(config: pytest.Config) -> None:
    """Look up what the models and images are called, before anything is loaded that takes seconds."""
    with usage_errors():
        for flag, look_up in (("--model", check_model), ("--dataset", find_source)):
            for name in option(config, flag) or ():
                if not name.removeprefix("random:"):  # as an unset shell variable is
                    raise InputError(
                        f"{flag} is empty; give a name or a path, see: geolip-theorems {flag[2:]}s"
                    )
                look_up(name)


def _read(config: pytest.Config) -> SuiteOptions:
    """The options; a file on the command line replaces thresholds and expectations of the settings."""
    project = settings(config)
    baseline, name = option(config, "--baseline"), option(config, "--save-baseline")
    run = read_options(lambda flag: option(config, flag))
    if config.getoption("--thresholds") is None and project.thresholds:
        judged = with_thresholds(project.thresholds)
    else:
        judged = load_claims(option(config, "--thresholds"))
    if config.getoption("--expectations") is None and project.expected:
        expected = read_expectations(project.file, project.expected)
    else:
        expected = load_expectations(option(config, "--expectations"))
    return SuiteOptions(
        models=tuple(dict.fromkeys(option(config, "--model") or ["auto"])),
        datasets=tuple(dict.fromkeys(option(config, "--dataset") or ["auto"])),
        run=run,
        claims=judged,
        expectations=expected,
        baseline=find_baseline(baseline) if baseline else None,
        save_baseline=None if name is None else check_name(name),
    )
