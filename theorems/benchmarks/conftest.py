"""Benchmarks run only when asked for (`pytest theorems/benchmarks --benchmark-only`), and print a table."""

from __future__ import annotations

import platform
from collections import defaultdict
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("benchmark_only", default=False):
        return
    mine = [item for item in items if HERE in Path(item.fspath).parents]
    items[:] = [item for item in items if item not in mine]
    if mine:
        config.hook.pytest_deselected(items=mine)


def cpu_flags() -> list[str]:
    """The vector extensions of the processor, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []
    flags = next((line.split(":")[1].split() for line in lines if line.startswith("flags")), [])
    return [flag for flag in flags if flag.startswith(("avx", "fma", "sse4"))]


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict) -> None:
    machine_info["torch"] = torch.__version__
    machine_info["torch_threads"] = torch.get_num_threads()
    machine_info["cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    machine_info["cpu_flags"] = cpu_flags()
    machine_info["processor_architecture"] = platform.machine()
    if torch.cuda.is_available():
        machine_info["gpu"] = torch.cuda.get_device_name()
        machine_info["cuda"] = torch.version.cuda
        machine_info["gpu_capability"] = ".".join(map(str, torch.cuda.get_device_capability()))
        try:
            machine_info["driver"] = torch.cuda.driver_version()
        except (AttributeError, RuntimeError):
            machine_info["driver"] = "unknown"


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


@pytest.fixture
def timed(benchmark):
    """timed(solver, count, call): time call() on this device, CUDA synchronised, for the table."""

    def run(solver: str, count: int, call, rounds: int = 10, **info):
        def synchronised():
            result = call()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            return result

        benchmark.extra_info.update(solver=solver, count=count, **info)
        return benchmark.pedantic(synchronised, rounds=rounds, warmup_rounds=1)

    return run
