"""The table of docs/reliability.md: what was tried, area by area, and what held.

    python -m benchmarks.reliability      # runs the tests of every area and writes the table (5 minutes)

The first part counts tests, which it runs; the second what ``make fuzz`` and ``make torture`` have tried,
from the file that ``RELIABILITY_COUNTS`` names (reports/reliability.json by default), where they add it.
Exit code 1 where something did not hold.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
BEGIN, END = "<!-- written by python -m benchmarks.reliability -->", "<!-- end -->"
COUNTS = "RELIABILITY_COUNTS"
AREAS = {
    "hostile files: every reader": ("tests/hostile/test_hostile.py",),
    "names and records that attack: every command, the terminal, summary pages": (
        "tests/report/test_commands.py",
        "tests/cli/test_frame.py",
    ),
    "the cache: damage, links, other entries, several processes and users": (
        "tests/extraction/test_truth.py",
        "tests/extraction/test_cache.py",
        "tests/extraction/test_housekeeping.py",
        "tests/extraction/test_processes.py",
    ),
    "deaths and signals: runs, workers, temporary files": (
        "tests/extraction/test_faults.py",
        "tests/extraction/test_engines.py",
        "tests/suite/test_housekeeping.py",
        "tests/suite/test_start.py",
    ),
    "results and baselines: full disks, obstacles, two processes": (
        "tests/record/test_runs.py",
        "tests/suite/test_baseline.py",
    ),
    "options, names and files that cannot be used": ("tests/suite/test_bad_input.py",),
    "order, selection, early end, a checkout that cannot be written": ("tests/suite/test_order.py",),
}


def count(what: str, tried: int, held: int) -> None:
    """Add to the file of counts, if one is named."""
    if name := os.environ.get(COUNTS):
        path = Path(name)
        counts = json.loads(path.read_text()) if path.exists() else {}
        before = counts.get(what, (0, 0))
        counts[what] = [before[0] + tried, before[1] + held]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(counts, indent=1))


def run_tests() -> dict[str, Counter]:
    """Outcomes of the tests of every area: how many ``passed``, ``failed``, ``skipped``."""
    files = [file for area in AREAS.values() for file in area]
    with tempfile.TemporaryDirectory() as folder:
        junit = Path(folder) / "junit.xml"
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", str(junit)]
        environment = {name: value for name, value in os.environ.items() if name != COUNTS}
        subprocess.run([*words, *files], cwd=ROOT, env=environment, check=False, stdout=sys.stderr)
        cases = list(ElementTree.parse(junit).iter("testcase"))
    return {area: outcomes(cases, files) for area, files in AREAS.items()}


def outcomes(cases: list[ElementTree.Element], files: tuple[str, ...]) -> Counter:
    """The outcomes of the test cases of some files."""
    names = {file.removesuffix(".py").replace("/", ".") for file in files}
    kinds = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    found: Counter = Counter()
    for case in cases:
        if case.get("classname") in names:
            found[next((kinds[part.tag] for part in case if part.tag in kinds), "passed")] += 1
    return found


def hostile_files() -> str:
    """A line on the table of hostile files."""
    from tests.hostile import test_hostile  # noqa: F401  which brings all of them
    from tests.hostile.cases import CASES

    refused = sum(bool(case.says) for case in CASES)
    kinds = len({(case.loader, case.kind) for case in CASES})
    readers = len({case.loader for case in CASES})
    return (
        f"Of the {len(CASES)} hostile files, of {kinds} kinds for {readers} readers, {refused} are refused "
        f"in a line and {len(CASES) - refused} are odd but good and are read."
    )


def table(found: dict[str, Counter], counts: dict[str, list[int]]) -> str:
    """The page's part that this command writes."""
    lines = ["| area | tests | held | skipped here |", "|---|---:|---:|---:|"]
    for area, outcome in found.items():
        lines.append(f"| {area} | {outcome.total()} | {outcome['passed']} | {outcome['skipped']} |")
    lines += ["", hostile_files(), "", "| at random | tried | read, or went on |", "|---|---:|---:|"]
    lines += [f"| {what} | {tried:,} | {held:,} |" for what, (tried, held) in sorted(counts.items())]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--page", type=Path, default=PAGE, help="file with the table's place in it")
    options = parser.parse_args()
    path = Path(os.environ.get(COUNTS, ROOT / "reports" / "reliability.json"))
    counts = json.loads(path.read_text()) if path.exists() else {}
    found = run_tests()
    head, _, rest = options.page.read_text().partition(BEGIN)
    text = f"{head}{BEGIN}\n\n{table(found, counts)}\n\n{END}{rest.partition(END)[2]}"
    options.page.write_text(text)
    return int(any(outcome["failed"] for outcome in found.values()))


if __name__ == "__main__":
    sys.exit(main())
