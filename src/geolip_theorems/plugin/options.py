"""The suite's command line, and what the rest of the plugins read from it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import partial
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
from ..run.expectations import Expectation, load_expectations, read_expectations
from ..run.flags import ALL, ALL_OPTIONS, AUTO, RUN_OPTIONS, RUNNER, undefaulted
from ..run.options import RunOptions, resolve_device
from ..run.settings import PROFILE, Settings, load_settings
from ..run.thresholds import load_claims


@dataclass(frozen=True)
class SuiteOptions:
    """What the command line says; ``claims``: every one there is, those on request too."""

    models: tuple[str, ...]
    datasets: tuple[str, ...]
    run: RunOptions
    claims: tuple[Claim, ...]
    expectations: tuple[Expectation, ...]
    report_dir: Path
    cache_dir: Path | None
    cache_limit_gb: float
    use_cache: bool
    refresh_cache: bool
    strict: bool
    fail_on: str
    report: bool
    baseline: Path | None
    save_baseline: str | None


OPTIONS_KEY = pytest.StashKey[SuiteOptions]()
SETTINGS_KEY = pytest.StashKey[Settings]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("theorems", "theorems: subject, verdicts, reports")
    for flag, keywords in ALL_OPTIONS.items():
        group.addoption(flag, **undefaulted(keywords))


def settings(config: pytest.Config) -> Settings:
    """The project's settings, read once.

    Raises:
        pytest.UsageError: they cannot be used.
    """
    if SETTINGS_KEY not in config.stash:
        try:
            given = config.getoption("--model")
            config.stash[SETTINGS_KEY] = load_settings(config.rootpath, config.getoption(PROFILE), given)
        except InputError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[SETTINGS_KEY]


def option(config: pytest.Config, flag: str) -> Any:
    """An option's value: what the command line says, else the project's settings, else its default."""
    given = config.getoption(flag)
    return settings(config).options.get(flag, ALL_OPTIONS[flag].get("default")) if given is None else given


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
    """The words of the command. Absolute paths are relative to the folder it was given in, where the same
    words make the same run; of those elsewhere only the name is kept."""
    runner = config.pluginmanager.get_plugin(RUNNER)
    words, here = ["geolip-theorems" if runner else "pytest"], config.invocation_params.dir
    for word in map(str, runner.typed if runner else config.invocation_params.args):
        flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        inside = os.path.isabs(value) and Path(value).is_relative_to(here)
        words.append(flag + equals + (os.path.relpath(value, here) if inside else portable(value)))
    return words


def run_options_given(config: pytest.Config) -> list[str]:
    """The words of the command line that set what figures and verdicts depend on, subject apart, and where
    the maps are."""
    words = []
    for flag, keywords in {**RUN_OPTIONS, "--cache-dir": ALL_OPTIONS["--cache-dir"]}.items():
        value = option(config, flag)
        if value != keywords.get("default"):
            words += [flag] if value is True else [flag, str(value)]
    return words


def suite_options(config: pytest.Config) -> SuiteOptions:
    """The options, read once.

    Raises:
        pytest.UsageError: one of them cannot be used.
    """
    if OPTIONS_KEY not in config.stash:
        try:
            config.stash[OPTIONS_KEY] = _read(config)
        except InputError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[OPTIONS_KEY]


def asked_claims(config: pytest.Config) -> tuple[Claim, ...]:
    """The claims of every run, those of questions that a test file registers too, with its thresholds."""
    known = {claim.name: claim for claim in suite_options(config).claims}
    return tuple(known.get(claim.name, claim) for claim in claims())


def check_subjects(config: pytest.Config) -> None:
    """Look up what the models and images are called, before anything is loaded that takes seconds.

    Raises:
        pytest.UsageError: an empty name, as an unset shell variable is, or one that is not known.
    """
    try:
        for flag, look_up in (("--model", check_model), ("--dataset", find_source)):
            for name in option(config, flag) or ():
                if not name.removeprefix("random:"):
                    raise InputError(
                        f"{flag} is empty; give a name or a path, see: geolip-theorems {flag[2:]}s"
                    )
                look_up(name)
    except InputError as error:
        raise pytest.UsageError(str(error)) from None


def _check_together(config: pytest.Config) -> None:
    """Raise ``InputError`` for half a pair of options."""
    if option(config, "--ray-address") and option(config, "--engine") != "ray":
        raise InputError("--ray-address is for --engine ray; give both or neither")


def _read(config: pytest.Config) -> SuiteOptions:
    _check_together(config)
    get = partial(option, config)
    run = RunOptions(
        device=resolve_device(get("--device")),
        seed=get("--seed"),
        implementation=get("--implementation"),
        offline=get("--offline"),
        image_size=get("--image-size"),
        normalize=get("--normalize"),
        max_images=get("--max-images"),
        data_root=get("--data-root"),
        ablation_images=_number(get("--ablation-images")),
        probe=get("--probe"),
        controls=get("--controls"),
        group_duplicates=get("--group-duplicates"),
        batch_size=_number(get("--batch-size")),
        workers=get("--workers"),
        engine=get("--engine"),
        ray_address=get("--ray-address"),
    )
    return SuiteOptions(
        models=tuple(dict.fromkeys(get("--model") or ["auto"])),
        datasets=tuple(dict.fromkeys(get("--dataset") or ["auto"])),
        run=run,
        claims=_claims(config),
        expectations=_expectations(config),
        report_dir=get("--report-dir"),
        cache_dir=get("--cache-dir"),
        cache_limit_gb=get("--cache-limit"),
        use_cache=not get("--no-cache"),
        refresh_cache=get("--refresh-cache"),
        strict=get("--strict-verdicts"),
        fail_on=get("--fail-on"),
        report=not get("--no-report"),
        baseline=find_baseline(get("--baseline")) if get("--baseline") else None,
        save_baseline=check_name(get("--save-baseline")) if get("--save-baseline") is not None else None,
    )


def _number(value: int | str) -> int | None:
    """A number, None for the word that stands in its place."""
    return None if value in (ALL, AUTO) else value


def _claims(config: pytest.Config) -> tuple[Claim, ...]:
    """Every question's claims: a file on the command line replaces the thresholds of the settings."""
    if config.getoption("--thresholds") is None and settings(config).thresholds:
        return with_thresholds(settings(config).thresholds)
    return load_claims(option(config, "--thresholds"))


def _expectations(config: pytest.Config) -> tuple[Expectation, ...]:
    """Those of the settings, which a file on the command line replaces."""
    found = settings(config)
    if config.getoption("--expectations") is None and found.expected:
        return read_expectations(found.file, found.expected)
    return load_expectations(option(config, "--expectations"))
