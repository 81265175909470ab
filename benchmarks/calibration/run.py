"""Are the verdicts what they claim? Simulations with known truth, run through the real measures.

``python -m benchmarks.calibration.run`` (``make calibrate``) simulates subjects whose true figures are
known and counts: how often a verdict says ``holds`` where the claim is not true (at most 2.5 %, the
interval's half), how often the 95 % interval contains the truth, and how often a planted effect is found.
A count is refused where it is improbable (p < 0.001, exact binomial) under what is claimed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from scipy import stats

from benchmarks.calibration.cells import Cell
from benchmarks.calibration.probe_cells import CELLS
from geolip_theorems.io.errors import InputError, unknown
from geolip_theorems.stats.decisions import Decision, Sample, decide

NOMINAL = 0.025
COVERAGE = 0.95
POWER = 0.80
REFUSE = 1e-3
HEAVY = 2000

Judge = Callable[..., Decision]


@dataclass(frozen=True)
class Outcome:
    """Counts over the simulated subjects of one cell.

    Attributes:
        cell, simulations: what was simulated, how often.
        holds: verdicts that said so. covered: intervals that held the truth.
        mean: mean of the estimates. seconds: processor time.
    """

    cell: Cell
    simulations: int
    holds: int
    covered: int
    mean: float
    seconds: float

    def refusals(self) -> list[str]:
        """What these counts make improbable, in words; empty where all is as claimed."""
        found = []
        n = self.simulations
        if not self.cell.true and binomial_p(self.holds, n, NOMINAL, "greater") < REFUSE:
            found.append(
                f"holds {self.holds / n:.1%} of the time where it is not true, nominal {NOMINAL:.1%}"
            )
        if self.cell.covers and binomial_p(self.covered, n, COVERAGE, "less") < REFUSE:
            found.append(
                f"the interval holds the truth {self.covered / n:.1%} of the time, not {COVERAGE:.0%}"
            )
        if self.cell.detectable and binomial_p(self.holds, n, POWER, "less") < REFUSE:
            found.append(f"the planted effect is found {self.holds / n:.1%} of the time, not {POWER:.0%}")
        return found


def run_cell(cell: Cell, simulations: int, seed: int = 0, judge: Judge = decide) -> Outcome:
    """Simulate a cell and count.

    Args:
        cell: what to simulate. simulations: how many subjects. seed: of all of them.
        judge: the verdict rule; another one shows what the suite's own rule is worth.

    Cost: 5 to 30 ms per subject, 0.3 s where probes are fitted.
    """
    begun = time.process_time()
    holds = covered = 0
    values = []
    for child in np.random.SeedSequence([seed, *cell.name.encode()]).spawn(simulations):
        figure = cell.simulate(np.random.default_rng(child))
        verdict = judge(
            figure["value"],
            figure["ci95"],
            cell.threshold,
            cell.comparison,
            figure.get("p") if cell.needs_p else None,
            sample=Sample(figure["n"]),
            needs_p=cell.needs_p,
        ).verdict
        holds += verdict == "holds"
        if figure["ci95"] is not None:
            covered += figure["ci95"][0] <= cell.truth <= figure["ci95"][1]
        values.append(np.nan if figure["value"] is None else figure["value"])
    return Outcome(cell, simulations, holds, covered, float(np.nanmean(values)), time.process_time() - begun)


def table(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as a Markdown table."""
    lines = [
        "| cell | images | truth | threshold | mean estimate | holds | covered | simulations | as claimed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for o in outcomes:
        n, cell = o.simulations, o.cell
        role = "false" if not cell.true else "detectable" if cell.detectable else "true"
        covered = f"{o.covered / n:.1%}" if cell.covers else "-"
        claim = f"{cell.comparison} {cell.threshold:g}"
        refusals = "; ".join(o.refusals()) or "yes"
        lines.append(
            f"| {cell.name} ({role}) | {cell.images} | {cell.truth:.4g} "
            f"| {claim} | {o.mean:.4f} | {o.holds / n:.1%} | {covered} | {n} | {refusals} |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 where an outcome is not as claimed."""
    parser = argparse.ArgumentParser(prog="benchmarks.calibration.run", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--simulations", type=int, default=HEAVY, help="subjects a cell (default %(default)s)"
    )
    parser.add_argument("--cells", nargs="*", default=None, help="names of cells, or beginnings such as q1")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=None, help="write the table here as well")
    options = parser.parse_args(arguments)
    try:
        cells = chosen(options.cells)
    except InputError as error:
        parser.error(str(error))
    outcomes: list[Outcome] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        work = partial(run_named, simulations=options.simulations, seed=options.seed)
        for outcome in pool.map(work, [cell.name for cell in cells]):
            outcomes.append(outcome)
            print(f"{outcome.cell.name}: {outcome.seconds:.0f} s", file=sys.stderr, flush=True)
            if options.out is not None:
                options.out.write_text(table(outcomes) + "\n", encoding="utf-8")
    print(table(outcomes))
    return int(any(outcome.refusals() for outcome in outcomes))


def run_named(name: str, simulations: int, seed: int) -> Outcome:
    """:func:`run_cell` of a cell's name, for worker processes."""
    return run_cell(CELLS[name], simulations, seed)


def chosen(names: Sequence[str] | None) -> list[Cell]:
    """The cells of these names, or with these beginnings where no cell has the whole name; all for None.

    Raises:
        InputError: a name that begins no cell's.
    """
    if not names:
        return list(CELLS.values())
    for name in names:
        if not any(known.startswith(name) for known in CELLS):
            raise unknown("calibration cell", name, CELLS)
    begins = tuple(name for name in names if name not in CELLS)
    return [cell for known, cell in CELLS.items() if known in names or (begins and known.startswith(begins))]


def binomial_p(count: int, n: int, rate: float, side: str) -> float:
    """How probable so many of n are, or more (``"greater"``), or fewer (``"less"``), at a rate."""
    return float(stats.binomtest(count, n, rate, alternative=side).pvalue)


if __name__ == "__main__":
    sys.exit(main())
