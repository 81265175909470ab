"""Intervals and comparisons on real maps: one large set, subsampled.

``python -m benchmarks.calibration.real_maps`` (part of ``make calibrate``) takes the maps of the embedded
model on a data set as a population of known figures, and prints two tables as Markdown:

* *coverage*: samples drawn without replacement; how often the 95 % interval, shortened by the
  finite-population factor sqrt(1 - n / N), contains the whole set's figure (of a cross-validated accuracy,
  which depends on the number of training images, the mean over samples), and the spread of the figures
  beside their standard error;
* *equal models*: unpaired, two halves of the set as if they were two runs; paired, two models whose maps are
  exchanged image by image with a coin, so that neither is better. How often a comparison is red.

Cost: 1 s per sample of 250 images, 8 s of 1,000.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch

from geolip_theorems.compare.judging import compare
from geolip_theorems.compare.pairing import Side
from geolip_theorems.extraction.cache import MapsCache, default_folder
from geolip_theorems.extraction.maps import Maps
from geolip_theorems.questions import Study, ask, claims
from geolip_theorems.results.companion import PER_IMAGE
from geolip_theorems.results.record import finite
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.subject import RunOptions, Subject, live_subject, open_subject
from geolip_theorems.run.verdicts import verdict_on
from geolip_theorems.stats.units import student_reach

MODEL = "freckles_embedded"
NOISE = (
    0.02  # of a weight's standard deviation: another version of the model, neither better nor worse by design
)
NULLS = {"n_permutations": 199, "n_null": 199}  # the least with which p can be below 0.01


@dataclass(frozen=True)
class Coverage:
    """One metric at one sample size: ``ratio`` is the figures' spread by their root mean square error."""

    metric: str
    n: int
    draws: int
    covered: float
    ratio: float
    factor: float


def sample(maps: Maps, rows: np.ndarray) -> Maps:
    """Some images, each by itself: drawn without replacement they are exchangeable, whatever their groups."""
    return replace(maps.take(np.sort(rows)), groups=None)


def coverage(maps: Maps, n: int, draws: int, seed: int = 0) -> list[Coverage]:
    """Every claim's metric on samples of ``n`` images."""
    rng, size = np.random.default_rng(seed), len(maps.error)
    whole = ask(Study(sample(maps, np.arange(size)), **NULLS)).figures
    wanted = {claim.metric.name: claim.metric for claim in claims()}
    found: dict[str, list] = {name: [] for name in wanted}
    for _ in range(draws):
        figures = ask(Study(sample(maps, rng.choice(size, n, replace=False)), **NULLS)).figures
        for name, metric in wanted.items():
            found[name].append(metric.of(figures))
    shrink = math.sqrt(1 - n / size)
    rows = []
    for name, metric in wanted.items():
        values = np.array([figure["value"] for figure in found[name]])
        ends = np.array([figure["ci95"] for figure in found[name]])
        crossed = metric.estimator.cross_validated
        truth = values.mean() if crossed else metric.of(whole)["value"]
        low, high = (values + shrink * (end - values) for end in ends.T)
        errors = (ends[:, 1] - ends[:, 0]) / 2 / student_reach(n - 1)
        ratio = values.std(ddof=1) / shrink / math.sqrt(np.square(errors).mean())
        factor = metric.estimator.inflation(n)
        rows.append(Coverage(name, n, draws, float(((low <= truth) & (truth <= high)).mean()), ratio, factor))
    return rows


def side(maps: Maps, like: Subject, name: str) -> Side:
    """A run of the suite on maps that are at hand."""
    study = Study(maps, **NULLS)
    found = ask(study)
    measured = {"calibrated": found.figures}
    record = like.record(
        measurements=measured,
        verdicts=[verdict_on(claim, measured, study, found.values) for claim in claims()],
    )
    kept = {**study.shared(), **found.values}
    return Side(finite(asdict(record)), {PER_IMAGE + key: array for key, array in kept.items()}, name)


def exchanged(first: Maps, second: Maps, seed: int) -> tuple[Maps, Maps]:
    """Two models on the same images, a coin per image deciding whose maps stand on which side."""
    coin = np.random.default_rng(seed).random(len(first.error)) < 0.5
    sides = ({}, {})
    for one in fields(first):
        a, b = getattr(first, one.name), getattr(second, one.name)
        if not isinstance(a, np.ndarray) or one.name in ("labels", "groups", "ablated"):
            continue
        part = coin if len(a) == len(coin) else coin[first.ablated]
        swap = part.reshape(-1, *[1] * (a.ndim - 1))
        sides[0][one.name], sides[1][one.name] = np.where(swap, b, a), np.where(swap, a, b)
    return replace(first, **sides[0]), replace(first, **sides[1])


def equal_models(
    first: Maps, second: Maps, like: Subject, n: int, draws: int
) -> Iterator[tuple[str, bool, bool]]:
    """How the runs were paired, whether the comparison is red, and whether a verdict got worse at all."""
    size = len(first.error)
    for seed in range(draws):
        rows = np.random.default_rng(seed).permutation(size)
        here, there = (side(sample(first, part), like, "half") for part in (rows[:n], rows[n : 2 * n]))
        found = compare(replace(here, arrays=None), replace(there, arrays=None))
        yield "unpaired", bool(found.regressions()), bool(found.regressions("flip"))
        parts = (sample(maps, rows[:n]) for maps in exchanged(first, second, seed))
        found = compare(*(side(part, like, "exchanged") for part in parts))
        yield "paired", bool(found.regressions()), bool(found.regressions("flip"))


def version_of(subject: Subject) -> Subject:
    """The same model with noise on its weights."""
    model = type(subject.model.model)(subject.model.model.config)
    torch.manual_seed(1)
    state = subject.model.model.state_dict()
    for weight in state.values():
        if weight.is_floating_point() and weight.numel() > 1:
            weight.add_(NOISE * weight.std() * torch.randn_like(weight))
    model.load_state_dict(state)
    return live_subject(model.eval().requires_grad_(False), subject.images, subject.options, "noisy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--sizes", type=int, nargs="+", default=[250, 1000])
    parser.add_argument("--draws", type=int, nargs="+", default=[200, 60], help="a size")
    parser.add_argument("--equal", type=int, default=100, help="pairs of equal models, 500 images each")
    parser.add_argument("--cache-dir", type=Path, default=default_folder())
    options = parser.parse_args()
    subject = open_subject(MODEL, options.dataset, RunOptions(offline=True, controls=0, ablation_images=None))
    cache = MapsCache(options.cache_dir)
    maps = analyse(subject, cache, asked=()).maps
    print("| metric | images | samples | covered | spread / error | factor in it |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    for n, draws in zip(options.sizes, options.draws, strict=True):
        for row in coverage(maps, n, draws):
            shown = f"{row.covered:.1%} | {row.ratio:.2f} | {row.factor:.2f}"
            print(f"| {row.metric} | {row.n:,} | {row.draws} | {shown} |", flush=True)
    other = analyse(version_of(subject), cache, asked=()).maps
    counts: dict[str, list[tuple[bool, bool]]] = {"unpaired": [], "paired": []}
    for how, red, flipped in equal_models(maps, other, subject, 500, options.equal):
        counts[how].append((red, flipped))
    print("\n| equal models | comparisons | red | a verdict got worse |\n|---|---:|---:|---:|")
    for how, found in counts.items():
        red, flipped = np.mean(found, axis=0)
        print(f"| {how} | {len(found)} | {red:.1%} | {flipped:.1%} |")


if __name__ == "__main__":
    main()
