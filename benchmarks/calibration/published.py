"""Do random rows come out free on every published claim, and rows of a planted band not?

Subjects are made of rows: 32 images of 8 patches, each patch a fresh draw of V rows on the sphere; of the
codebook, one draw that every image shows with a little noise. They go through the measures of
:mod:`geolip_theorems.questions.published` like a model's. *Planted* rows lean towards one direction: normal
vectors plus ``lean`` along the first axis, put on the sphere.

``python -m benchmarks.calibration.published`` (``make calibrate-published``) prints shares, and ends with 1
where random rows are called free in fewer than 95 % of the draws, or the planted band in more than 5 %. The
claims without rows (gate, sizes, tiles, unseen noise) have no free value of rows to be calibrated.
Cost: 0.4 s of one core a draw.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from geolip_theorems.questions import Study
from geolip_theorems.questions.published import measure
from geolip_theorems.questions.published.evidence import IMAGES, Evidence, Gathered
from geolip_theorems.questions.published.free import log_friction, patch_figures, random_rows, spectrum_of
from geolip_theorems.questions.published.rows import PATCHES, SETS, Rows
from geolip_theorems.stats.units import Units

SHAPES = ((48, 4), (256, 16))
LEANS = (0.0, 0.25, 0.5, 1.0)
NOISE = 0.05  # of the rows of a codebook from image to image
LEAST_FREE, MOST_PLANTED = 0.95, 0.05
FIGURES = {"band": ("cv",), "spectrum": ("rank", "ratio", "s0"), "codebook": ("axes", "pairs", "deviation")}
FIGURES |= {"friction": ("log_friction",)}


def lean_rows(rng: np.random.Generator, n: int, V: int, D: int, lean: float) -> np.ndarray:
    """(n, V, D) unit rows that lean towards the first axis; without a lean they are uniform."""
    if lean == 0:
        return random_rows(rng, n, V, D)
    rows = rng.standard_normal((n, V, D)) + lean * np.eye(D)[0]
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def subject(rng: np.random.Generator, V: int, D: int, lean: float) -> Study:
    """A study whose evidence is made of rows alone."""
    M = lean_rows(rng, IMAGES * PATCHES, V, D, lean)
    found = patch_figures(M, spectrum_of(M, norms=False), rng, SETS)
    found["log_friction"] = log_friction(torch.from_numpy(np.einsum("rvd,rve->rde", M, M)))
    patch = {name: values.reshape(IMAGES, PATCHES, -1) for name, values in found.items()}
    book = lean_rows(rng, 1, V, D, lean) + NOISE * rng.standard_normal((IMAGES, V, D))
    rows = Rows(patch, {}, book, (V, D), norms=False, sphere=True)
    maps = SimpleNamespace(error=np.zeros((IMAGES, 1, 1)), friction=None, absent={"friction": "rows alone"})
    study = Study(maps, int(rng.integers(1 << 31)), model=SimpleNamespace(name="rows"))
    study.memo["published"] = Gathered(Evidence(rows, None, None, None), (), Units.of(None, IMAGES))
    return study


def classes(study: Study) -> dict[str, str]:
    """What each figure of rows is called: ``free`` or ``open`` (without twins nothing is learned)."""
    found: dict[str, str] = {}
    for question, names in FIGURES.items():
        figures: Any = getattr(measure, question)(study)["images"]
        found |= {name: figures[name]["class"] for name in names if "class" in figures[name]}
    return found


def free_shares(V: int, D: int, lean: float, draws: int, seed: int = 0) -> dict[str, float]:
    """By figure, the share of the draws that is called free."""
    rng, counts = np.random.default_rng([seed, V, D, int(100 * lean)]), Counter()
    for _ in range(draws):
        found = classes(subject(rng, V, D, lean))
        counts.update({name: kind == "free" for name, kind in found.items()})
    return {name: counts[name] / draws for name in counts}


def refusals(lean: float, shares: dict[str, float]) -> list[str]:
    """Which shares are not as claimed: of random rows below 95 %, of the band with most lean above 5 %."""
    if lean == 0:
        return [f"{name} free in {share:.1%}" for name, share in shares.items() if share < LEAST_FREE]
    planted = lean == LEANS[-1] and shares["cv"] > MOST_PLANTED
    return [f"planted band free in {shares['cv']:.1%}"] if planted else []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=500, help="of random rows (default %(default)s)")
    parser.add_argument("--out", type=Path, help="write the table there too")
    options = parser.parse_args()
    lines, refused = [], []
    for V, D in SHAPES:
        for lean in LEANS:
            draws = options.draws if lean == 0 else max(20, options.draws // 10)
            shares = free_shares(V, D, lean, draws)
            if not lines:
                lines = [
                    "| V | D | lean | draws | " + " | ".join(shares) + " |",
                    "|---" * (4 + len(shares)) + "|",
                ]
            cells = [f"{V} | {D} | {lean:g} | {draws}", *(f"{share:.1%}" for share in shares.values())]
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
            refused += [f"{found} for {V} x {D}" for found in refusals(lean, shares)]
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(lines) + "\n")
    print("refused: " + ", ".join(refused) if refused else "as claimed")
    return int(bool(refused))


if __name__ == "__main__":
    sys.exit(main())
