"""Is an untrained model called beyond untrained weights? Real ones as subjects, compared with each other.

The simulations of :mod:`benchmarks.calibration.probe_cells` draw twins from normal distributions; figures of
real random models are skewed, or fall in two heaps. So models of the embedded shape are measured on crops of
photographs, and each in turn is the subject, compared with others drawn from the rest: as it is one more of
them, *yes* and *no* may each be said of 2.5 % of them.

``python -m benchmarks.calibration.untrained`` (part of ``make calibrate``) prints the shares; it ends with 1
where a count is improbable under what is claimed. The first column is what not to do: the same three twins
for everybody. Cost: 4 s of one core a model; kept in the cache, so that it goes on where it stopped.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.calibration.run import NOMINAL, REFUSE, binomial_p
from geolip_theorems.extraction.cache import MapsCache, default_folder
from geolip_theorems.questions import Claim, claims
from geolip_theorems.run.analyse import measured_twins
from geolip_theorems.run.controls import Member, chosen_images, compared
from geolip_theorems.run.subject import RunOptions, Subject, open_subject
from geolip_theorems.stats.attribution import LEAST_TWINS
from geolip_theorems.stats.units import Units

MODEL = "freckles_embedded"
FIRST_SEED = 1001


@dataclass(frozen=True)
class Rates:
    """How often untrained subjects were called what.

    Attributes:
        claim, twins: which claim, against how many others.
        subjects: whose figure was compared. yes, no: of these.
    """

    claim: str
    twins: int
    subjects: int
    yes: int
    no: int

    def refusals(self) -> list[str]:
        """Which counts are improbable (p < 0.001, exact binomial) where 2.5 % are claimed at most."""
        counts = {"yes": self.yes, "no": self.no}
        return [
            f"{word} {count / self.subjects:.1%}"
            for word, count in counts.items()
            if self.subjects and binomial_p(count, self.subjects, NOMINAL, "greater") < REFUSE
        ]


def rates(
    pool: Sequence[Member],
    units: Units,
    twins: int | None = None,
    *,
    seed: int = 0,
    fixed: Sequence[int] | None = None,
    asked: Sequence[Claim] | None = None,
) -> list[Rates]:
    """Every model of a pool as the subject, once a claim.

    Args:
        pool: models of one shape, measured on the same images. units: of the images.
        twins: how many of the others each is compared with, drawn anew for each; None for all of them.
        seed: of the draws.
        fixed: instead, compare all the others with just these members of the pool.
        asked: the claims; by default the questions' own.

    Raises:
        ValueError: too few models for so many twins.

    Cost: 1 ms per subject and claim with ten twins.
    """
    size = len(pool) - 1 if twins is None else twins
    if not LEAST_TWINS <= size < len(pool):
        raise ValueError(f"{size} twins from a pool of {len(pool)}")
    rng = np.random.default_rng(seed)
    chosen = {}
    for i in range(len(pool)):
        others = np.delete(np.arange(len(pool)), i)
        chosen[i] = rng.choice(others, size, replace=False) if fixed is None else np.asarray(fixed)
        if i in chosen[i]:
            del chosen[i]
    found = []
    for claim in claims() if asked is None else asked:
        answers = [
            compared(claim, pool[i], [pool[j] for j in others], units).attributed
            for i, others in chosen.items()
            if (pool[i].figures.get(claim.metric.name) or {}).get("ci95") is not None
        ]
        count = len(next(iter(chosen.values())))
        found.append(Rates(claim.name, count, len(answers), answers.count(True), answers.count(False)))
    return found


def table(found: Mapping[str, Sequence[Rates]]) -> str:
    """Rates as a Markdown table: a row per claim, a column per way of choosing twins."""
    lines = ["| claim | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for row in zip(*found.values(), strict=True):
        cells = []
        for r in row:
            shares = (f"{count / r.subjects:.1%}" if r.subjects else "-" for count in (r.yes, r.no))
            cells.append(" and ".join(shares) + (" (refused)" if r.refusals() else ""))
        lines.append(f"| {row[0].claim} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def units_of(subject: Subject) -> Units:
    """The independent units of the images that a subject's twins are measured on."""
    images = subject.images.take(chosen_images(subject)[0])
    return Units.of(images.groups, len(images))


def main() -> int:
    """The command line; 1 where a rate is not as claimed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="photos")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--models", type=int, default=102)
    parser.add_argument("--twins", type=int, nargs="+", default=[3, 10, 30])
    parser.add_argument("--cache-dir", type=Path, default=default_folder(), help="default: the user's cache")
    parser.add_argument("--out", type=Path, default=None, help="write the table here as well")
    options = parser.parse_args()
    run = RunOptions(offline=True, image_size=options.image_size, control_images=options.images)
    subject = open_subject(MODEL, options.dataset, run)
    pool = []
    seeds = range(FIRST_SEED, FIRST_SEED + options.models)
    for twin in measured_twins(subject, seeds, MapsCache(options.cache_dir)):
        pool.append(twin)
        print(f"model {len(pool)} of {options.models}", file=sys.stderr, flush=True)
    units = units_of(subject)
    drawn = {f"{k} drawn": rates(pool, units, k) for k in options.twins}
    text = table({"3 for all": rates(pool, units, fixed=range(3)), **drawn})
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")
    return int(any(r.refusals() for found in drawn.values() for r in found))


if __name__ == "__main__":
    sys.exit(main())
