"""Benchmarks run only when asked for (`pytest theorems/benchmarks --benchmark-only`), and print a table."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.timing import Limit, paired_change
from fixtures.benchmarks import (
    CONTESTANTS_KEY,
    LIMITS_KEY,
    OLD_ROUNDS_KEY,
    WORKLOAD,
    YARDSTICK,
    Contestants,
)
from geolip_theorems.model.sources import LoadedModel
from geolip_theorems.plugin.options import suite_options

HERE = Path(__file__).parent
MORE_PAIRS, MOST_TIMES = 5, 6  # pairs at a time while a limit is undecided; in all, times the first number
LONGEST_S = 30.0  # seconds of that for a benchmark
YARDSTICK_SIDE = 192  # a matrix product of this side and a sort of its entries: about a millisecond


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_only", default=False):
        return
    mine = [item for item in items if HERE in Path(item.fspath).parents]
    items[:] = [item for item in items if item not in mine]
    if mine:
        config.hook.pytest_deselected(items=mine)


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    """Best time for each matrix (or image), and how many times that of the first entry of its group."""
    session = getattr(config, "_benchmarksession", None)
    groups = defaultdict(list)
    for bench in getattr(session, "benchmarks", []):
        if bench.stats.rounds and "count" in bench.extra_info:
            groups[bench.group].append((bench.extra_info, bench.stats.min / bench.extra_info["count"] * 1e6))
    for group, rows in groups.items():
        terminalreporter.section(f"{group}: microseconds each, and times the first", sep="-")
        for info, microseconds in rows:
            ratio = microseconds / rows[0][1]
            rescued = f"   rescued {info['rescued']:.2%}" if "rescued" in info else ""
            terminalreporter.line(f"{info['solver']:>24} {microseconds:12.4f} {ratio:10.2f}{rescued}")


def synchronised(call: Callable[[], Any]) -> Callable[[], Any]:
    """A call that ends when its work on the GPU does."""

    def run() -> Any:
        result = call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return result

    return run


def seconds(call: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    """What is after ``--device``."""
    return suite_options(request.config).run.device


@pytest.fixture(scope="session")
def contestants(request: pytest.FixtureRequest) -> Contestants:
    """The models after ``--model``: one, or the old and the new one."""
    return request.config.stash[CONTESTANTS_KEY]


@pytest.fixture(scope="session")
def yardstick() -> Callable[[], Any]:
    """A fixed piece of work, whose time tells how fast the machine is just now."""
    side = YARDSTICK_SIDE
    matrix = torch.linspace(-1, 1, side * side).reshape(side, side)
    if torch.cuda.is_available():
        matrix = matrix.cuda()
    return synchronised(lambda: torch.sort((matrix @ matrix @ matrix).flatten()))


@pytest.fixture
def timed(benchmark, request: pytest.FixtureRequest, yardstick):
    """timed(solver, count, call): time call() on this device, CUDA synchronised, for the table."""
    least = request.config.getoption("--bench-rounds") or 1

    def run(solver: str, count: int, call, rounds: int = 10, **info):
        rounds, ticks = max(rounds, least), []
        benchmark.extra_info.update(solver=solver, count=count, **info)
        result = benchmark.pedantic(
            synchronised(call), setup=lambda: ticks.append(seconds(yardstick)), rounds=rounds, warmup_rounds=1
        )
        benchmark.extra_info[YARDSTICK] = ticks[-rounds:]
        return result

    return run


def until_decided(limits: list[Limit], before: Callable, after: Callable, old: list[float], new: Any) -> None:
    """Add pairs of rounds to ``old`` and ``new`` (pytest-benchmark's stats) while a limit is undecided."""
    most, deadline = MOST_TIMES * len(old), time.monotonic() + LONGEST_S
    while len(old) < most and time.monotonic() < deadline:
        found = [paired_change(old, new.stats.data, limit.field).verdict(limit) for limit in limits]
        if "open" not in found:
            return
        for _ in range(MORE_PAIRS):
            if len(old) % 2:
                new.update(seconds(after))
                old.append(seconds(before))
            else:
                old.append(seconds(before))
                new.update(seconds(after))


@pytest.fixture
def timed_models(benchmark, request: pytest.FixtureRequest, yardstick, contestants: Contestants):
    """timed_models(solver, count, make): time make(model)() of one model; or of two, in turn.

    Two are timed A B, B A, A B, ...: what slows the machine for a while slows both, and neither always
    comes first. While an interval holds a limit they are timed on, a few times as often at most. The
    benchmark's own times are the new model's.
    """
    least = request.config.getoption("--bench-rounds") or 1

    def run(solver: str, count: int, make: Callable[[LoadedModel], Callable], rounds: int = 15, **workload):
        rounds, ticks, old = max(rounds, least), [], []
        *before, new = contestants.models
        calls = [synchronised(make(loaded)) for loaded in before]

        def ahead() -> None:
            ticks.append(seconds(yardstick))
            if len(ticks) % 2:
                old.extend(map(seconds, calls))

        def behind() -> None:
            if not len(ticks) % 2:
                old.extend(map(seconds, calls))

        info = {"model": f"{new.name} {new.sha256[:12]}", "solver": solver, "count": count}
        if before:
            info["old_model"] = f"{before[0].name} {before[0].sha256[:12]}"
        benchmark.extra_info.update(info)
        benchmark.extra_info[WORKLOAD] = {"count": count, "image_size": contestants.image_size, **workload}
        result = benchmark.pedantic(
            synchronised(make(new)), setup=ahead, teardown=behind, rounds=rounds, warmup_rounds=2
        )
        benchmark.extra_info[YARDSTICK] = ticks[-rounds:]
        if before and benchmark.stats:
            old = old[-rounds:]
            until_decided(
                request.config.stash[LIMITS_KEY], calls[0], synchronised(make(new)), old, benchmark.stats
            )
            request.node.stash[OLD_ROUNDS_KEY] = old
        return result

    return run
