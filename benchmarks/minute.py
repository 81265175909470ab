"""A verdict in under a minute: times and memory beside their limits (``make minute``).

On the machine as it is: the limits are for two quiet cores. Exit code 1 if one is exceeded.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
MODEL = "freckles_embedded"
VERDICT = re.compile(r"^\s+q\d: .*: (holds|fails|inconclusive)\b")
RUN = ("-m", "pytest", "theorems/theorem3_release_fidelity", "-v", "--offline", "--model", MODEL, "--dataset")
LARGE, GRID, MODES = 10_000, 16, 4
Line = tuple[str, float, float, str]  # what, found, limit, unit


def used() -> float:
    """Processor seconds of the children that have ended."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return times.ru_utime + times.ru_stime


def run(cache: Path, report: Path, *more: str) -> tuple[float, float, float]:
    """The six questions on the digits: seconds to the first verdict's line, to the end, of processor time."""
    command = [sys.executable, *RUN, "digits", "--cache-dir", str(cache), "--report-dir", str(report), *more]
    begun, before, first = time.monotonic(), used(), None
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    environment |= {"PYTHONPYCACHEPREFIX": str(report.parent / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as process:
        for line in process.stdout:
            if first is None and VERDICT.search(line):
                first = time.monotonic() - begun
    return first or float("inf"), time.monotonic() - begun, used() - before


@contextmanager
def busy(count: int = 2) -> Iterator[None]:
    """As many other processes, each of which keeps a core busy."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def digits() -> Iterator[Line]:
    """The whole run with nothing cached but kernels and bytecode; the same with both cores busy; again.

    And with another seed than the bank's, so that ten twins are drawn and measured, as for a new shape.
    """
    with tempfile.TemporaryDirectory() as folder:
        caches, report = Path(folder), Path(folder) / "report"
        run(caches / "warm", report, "--max-images", "40", "--controls", "0")  # compiles what is compiled
        first, whole, processor = run(caches / "bank", report)
        yield "digits, first verdict", first, 30, "s"
        yield "digits, whole run", whole, 50, "s"
        yield "digits, whole run, processor time", processor, 100, "s"
        yield "digits, again", run(caches / "bank", report)[1], 20, "s"
        for analysis in (caches / "bank").rglob("analysis-*"):
            analysis.unlink()
        yield "digits, again, maps kept and measures not", run(caches / "bank", report)[1], 35, "s"
        with busy():
            _, slow, _ = run(caches / "busy", report)
        yield "digits, whole run, both cores busy: times the quiet run", slow / whole, 2.5, ""
        drawn = run(caches / "drawn", report, "--seed", "1")[1]
        yield "digits, whole run, ten twins drawn", drawn, 150, "s"


def large() -> Iterator[Line]:
    """Every measure of 10,000 images of 16 x 16 patches; the maps are random numbers with class means."""
    code = "from benchmarks.minute import measures; measures()"
    before = used()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    yield f"{LARGE:,} images, measures, processor time", used() - before, 90, "s"
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    yield f"{LARGE:,} images, measures, memory", memory, 1.5, "GB"


def measures() -> None:
    """What :func:`large` measures, a line per question with processor seconds and the memory so far."""
    import numpy as np

    from geolip_theorems.extraction.maps import Maps
    from geolip_theorems.questions import Study, questions
    from geolip_theorems.script import script_accuracies, script_protocol

    rng, labels = np.random.default_rng(0), np.arange(LARGE) % 10
    means = 0.15 * rng.standard_normal((10, GRID, GRID, 1), dtype=np.float32)

    def signal(count: int) -> np.ndarray:
        x = rng.standard_normal((LARGE, GRID, GRID, count), dtype=np.float32)
        x += means[labels]
        return np.abs(x, out=x)

    ablated = np.arange(256)
    maps = Maps(
        error=signal(1)[..., 0],
        pixel_var=signal(1)[..., 0],
        error_half=signal(2),
        S=-np.sort(-signal(MODES), -1),
        friction=signal(MODES),
        settle=np.rint(signal(MODES)),
        error_only=signal(MODES)[ablated],
        error_without=signal(MODES)[ablated],
        ablated=ablated,
        input_mean=signal(3),
        input_var=signal(1)[..., 0],
        gradient=signal(1)[..., 0],
        labels=labels,
        classes=tuple(map(str, range(10))),
        patch_pixels=16,
    )
    study = Study(maps)
    steps: dict[str, Callable[[], object]] = {
        "script": lambda: (script_protocol(maps, 0), script_accuracies(maps, range(10))),
        **{q.id: lambda q=q: q.measure(study) for q in questions() if q.measure and not q.on_request},
    }
    for name, step in steps.items():
        begun = time.process_time()
        step()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        print(f"  {name:8s} {time.process_time() - begun:6.1f} s {memory:6.2f} GB", flush=True)


LINES: dict[str, Callable[[], Iterator[Line]]] = {"digits": digits, "large": large}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=LINES, default=list(LINES))
    good = True
    for name in parser.parse_args().only:
        for what, found, limit, unit in LINES[name]():
            good &= found <= limit
            word = "" if found <= limit else "  OVER"
            print(f"{what:64s} {found:7.1f} {unit:2s}  limit {limit:g} {unit}{word}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
