"""Is an untrained network called beyond untrained weights? Real ones as subjects, compared with each other.

The simulations of :mod:`geolip_theorems.calibration_probes` draw twins from normal distributions; figures of
real random networks are skewed, or fall in two heaps. So networks of one shape are measured on one image
set, and each in turn is the subject, compared with others drawn from the rest: as it is one more of them,
*yes* and *no* may each be said of 2.5 % of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .calibrate import NOMINAL, REFUSE, binomial_p
from .claims import CLAIMS, Claim
from .measures.attribution import LEAST_TWINS
from .twins import Measured, compared


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
    pool: Sequence[Measured],
    groups: np.ndarray | None,
    twins: int | None = None,
    *,
    seed: int = 0,
    fixed: Sequence[int] | None = None,
    claims: Sequence[Claim] = CLAIMS,
) -> list[Rates]:
    """Every network of a pool as the subject, once a claim.

    Args:
        pool: networks of one shape, measured on the same images. groups: (N,) of the images, or None.
        twins: how many of the others each is compared with, drawn anew for each; None for all of them.
        seed: of the draws.
        fixed: instead, compare all the others with just these members of the pool.

    Raises:
        ValueError: too few networks for so many twins.

    Cost: 1 ms a subject and claim with ten twins.
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
    for claim in claims:
        answers = [
            compared(claim, pool[i], [pool[j] for j in others], groups).attributed
            for i, others in chosen.items()
            if (pool[i].figures.get(claim.name) or {}).get("ci95") is not None
        ]
        count = len(next(iter(chosen.values())))
        found.append(Rates(claim.name, count, len(answers), answers.count(True), answers.count(False)))
    return found


def table(found: Mapping[str, Sequence[Rates]]) -> str:
    """Rates as a Markdown table: a row a claim, a column a way of choosing twins."""
    lines = ["| claim | " + " | ".join(found) + " |", "|---|" + "---:|" * len(found)]
    for row in zip(*found.values(), strict=True):
        cells = []
        for r in row:
            shares = (f"{count / r.subjects:.1%}" if r.subjects else "-" for count in (r.yes, r.no))
            cells.append(" and ".join(shares) + (" (refused)" if r.refusals() else ""))
        lines.append(f"| {row[0].claim} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
