"""The suite's command line, and what the rest of the plugins read from it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ..compare.baselines import check_name
from ..compare.baselines import find as find_baseline
from ..io.errors import InputError
from ..questions import Claim, claims
from ..run.expectations import Expectation, load_expectations
from ..run.flags import ALL_OPTIONS, RUN_OPTIONS, SUBJECT_OPTIONS, undefaulted
from ..run.options import RunOptions, resolve_device
from ..run.thresholds import load_claims


@dataclass(frozen=True)
class SuiteOptions:
    """What the command line says."""

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
    report: bool
    baseline: Path | None
    save_baseline: str | None


OPTIONS_KEY = pytest.StashKey[SuiteOptions]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("theorems", "theorems: subject, verdicts, reports")
    for flag, keywords in ALL_OPTIONS.items():
        group.addoption(flag, **undefaulted(keywords))


def option(config: pytest.Config, flag: str) -> Any:
    """An option's value: what the command line says, else its default."""
    given = config.getoption(flag)
    return ALL_OPTIONS[flag].get("default") if given is None else given


def run_options_given(config: pytest.Config) -> list[str]:
    """The words of the command line that set what figures and verdicts depend on, subject apart."""
    words = []
    for flag, keywords in RUN_OPTIONS.items():
        value = option(config, flag)
        if value != keywords.get("default"):
            words += [flag] if value is True else [flag, "all" if value is None else str(value)]
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
    """The questions' claims with the run's thresholds, and those of questions that a test file registers."""
    read = suite_options(config).claims
    names = {claim.name for claim in read}
    return (*read, *(claim for claim in claims() if claim.name not in names))


def _check_together(config: pytest.Config) -> None:
    """Raise ``InputError`` for an empty name, as an unset shell variable is, or half a pair of options."""
    for flag in SUBJECT_OPTIONS:
        if not all(name.removeprefix("random:") for name in option(config, flag) or ()):
            raise InputError(f"{flag} is empty; give a name or a path, see: geolip-theorems {flag[2:]}s")
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
        ablation_images=get("--ablation-images"),
        probe=get("--probe"),
        controls=get("--controls"),
        batch_size=get("--batch-size"),
        workers=get("--workers"),
        engine=get("--engine"),
        ray_address=get("--ray-address"),
    )
    return SuiteOptions(
        models=tuple(dict.fromkeys(get("--model") or ["auto"])),
        datasets=tuple(dict.fromkeys(get("--dataset") or ["auto"])),
        run=run,
        claims=load_claims(get("--thresholds")),
        expectations=load_expectations(get("--expectations")),
        report_dir=get("--report-dir"),
        cache_dir=get("--cache-dir"),
        cache_limit_gb=get("--cache-limit"),
        use_cache=not get("--no-cache"),
        refresh_cache=get("--refresh-cache"),
        strict=get("--strict-verdicts"),
        report=not get("--no-report"),
        baseline=find_baseline(get("--baseline")) if get("--baseline") else None,
        save_baseline=check_name(get("--save-baseline")) if get("--save-baseline") is not None else None,
    )
