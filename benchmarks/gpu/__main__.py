"""Every check of the suite on a CUDA device, cheapest first, in ten minutes: ``make gpu``.

Each check runs in a process of its own with a time limit and writes each row as it is found, so that a crash
or a cut loses nothing. ``reports/gpu/README.md`` is made again after every check and can be read alone;
``--page`` makes docs/gpu.md of it. ``--dry`` executes each check once where there is no card: small, the
kernels by a C++ compiler, the rest on the CPU, where parity is trivial and no time means anything. Exit
code 1 if a check fails, is cut off or dies.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "gpu.md"
# Name -> seconds it may take on a card: 570 in all. On a shared CPU a dry run may take longer.
LIMITS = {
    "environment": 20,
    "kernels": 90,
    "maps": 40,
    "rows": 30,
    "speed": 60,
    "tile": 40,
    "images": 60,
    "memory": 40,
    "theorems": 160,
    "compile": 30,
}
DRY_LIMIT_S = 300
NOT_RUN = "**Not run on a GPU.** These rows are of a dry run: no figure says anything about a card."
HEADER = "| what | found | expected | |\n|---|---|---|---|\n"


def run_check(name: str, folder: Path, dry: bool) -> dict[str, object]:
    """One check in its own process; its rows, and how it ended."""
    path = folder / f"{name}.jsonl"
    path.unlink(missing_ok=True)
    command = [sys.executable, "-m", "benchmarks.gpu", "--check", name, "--out", str(folder)]
    paths = [str(ROOT / "src"), str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    if dry:
        command.append("--dry")
        environment |= {"OMP_NUM_THREADS": "1"}
    begun, limit = time.monotonic(), DRY_LIMIT_S if dry else LIMITS[name]
    with open(folder / f"{name}.log", "w") as log:
        try:
            code = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=limit, check=False
            ).returncode
            end = "" if code == 0 else f"the process ended with code {code}: see {name}.log"
        except subprocess.TimeoutExpired:
            end = f"cut off after {limit} s"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    seconds = round(time.monotonic() - begun, 1)
    result = {"check": name, "dry": dry, "seconds": seconds, "end": end, "rows": rows}
    (folder / f"{name}.json").write_text(json.dumps(result, indent=1))
    return result


def passed(result: dict) -> bool:
    """Whether a check ended by itself and no row of it failed."""
    return (
        bool(result["rows"]) and not result["end"] and all(row["ok"] is not False for row in result["rows"])
    )


def page(results: list[dict]) -> str:
    """The results as Markdown."""
    from .checks import CHECKS

    parts = ["# The suite on a GPU\n", "Made by `make gpu`; see benchmarks/gpu.\n"]
    if any(result["dry"] for result in results):
        parts.append(NOT_RUN + "\n")
    for result in results:
        word = "passed" if passed(result) else "FAILED"
        parts.append(f"## {result['check']}: {word}, {result['seconds']} s\n")
        parts.append(f"{CHECKS[result['check']].__doc__.splitlines()[0]}\n")
        if result["end"]:
            parts.append(f"**{result['end']}**\n")
        marks = {True: "ok", False: "**no**", None: ""}
        lines = [
            f"| {row['what']} | {row['found']} | {row['expected']} | {marks[row['ok']]} |\n"
            for row in result["rows"]
        ]
        parts.append(HEADER + "".join(lines))
    return "\n".join(parts)


def known(folder: Path) -> list[dict]:
    """The results in a folder, in the order of the checks."""
    paths = (folder / f"{name}.json" for name in LIMITS)
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "gpu")
    parser.add_argument("--dry", action="store_true", help="execute each check once without a card")
    parser.add_argument("--only", nargs="+", choices=LIMITS, help="these checks (default: all)")
    parser.add_argument(
        "--page", action="store_true", help="only write docs/gpu.md from the results there are"
    )
    parser.add_argument("--check", choices=LIMITS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.page:
        PAGE.write_text(page(known(options.out)))
        return 0
    if options.check:
        from .checks import CHECKS, Place

        with open(options.out / f"{options.check}.jsonl", "w", buffering=1) as out:
            for row in CHECKS[options.check](Place(options.dry, options.out)):
                print(json.dumps(row), file=out)
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    good = True
    for name in options.only or LIMITS:
        result = run_check(name, options.out, options.dry)
        good &= passed(result)
        (options.out / "README.md").write_text(page(known(options.out)))
        print(
            f"{name}: {'passed' if passed(result) else 'FAILED'}, {result['seconds']} s {result['end']}",
            flush=True,
        )
    print(f"results: {options.out / 'README.md'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
