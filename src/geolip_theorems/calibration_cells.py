"""Simulated subjects whose true figures are known, one kind a cell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy import optimize

from .measures.boundaries import rank_correlation
from .measures.classes import class_structure
from .measures.features import SIGNALS, standardised
from .measures.modes import mode_structure
from .measures.nested import cross_validated
from .measures.probes import COMBINATIONS, lift_figures
from .measures.resampling import mean_figure
from .measures.spatial import spatial_structure

VALUES = 48  # residuals a patch
SIDE = 8
N_PERMUTATIONS = 299
Q4_LIFT = 0.447  # mean of 60 simulated subjects; their mean smallest detectable lift was 0.18


@dataclass(frozen=True)
class Cell:
    """One kind of simulated subject.

    Attributes:
        name: begins with the question.
        simulate: a random generator -> the figure the verdict rests on.
        truth: the true value of that figure's estimand.
        threshold, comparison, needs_p: of the claim.
        images: a subject.
        true: the claim is true of these subjects.
        covers: the interval is claimed to hold the truth 95 % of the time.
        detectable: the effect is one that the verdict is claimed to find 80 % of the time.
    """

    name: str
    simulate: Callable[[np.random.Generator], dict[str, Any]]
    truth: float
    threshold: float
    comparison: str
    images: int
    true: bool
    needs_p: bool = False
    covers: bool = True
    detectable: bool = False


def spatial(rng: np.random.Generator, n: int, cv: float, spread: float = 0.0) -> dict[str, Any]:
    """Gaussian residuals around maps of a given CV, the root mean square over images where it varies."""
    pattern = rng.standard_normal((n, SIDE * SIDE))
    pattern -= pattern.mean(1, keepdims=True)
    pattern /= pattern.std(1, ddof=1, keepdims=True)
    each = cv * np.sqrt(1 + spread * rng.choice([-1.0, 1.0], (n, 1)))
    mean = np.maximum(1 + each * pattern, 1e-3)
    # A patch's mean of squares and their variance are those of 48 squared normals.
    squared = rng.chisquare(1, (n, SIDE * SIDE, VALUES)) * mean[..., None]
    error, var = squared.mean(-1), squared.var(-1)
    shape = (n, SIDE, SIDE)
    seed = int(rng.integers(2**31))
    return spatial_structure(error.reshape(shape), var.reshape(shape), VALUES, seed=seed, n_null=1)[
        "corrected"
    ]


def class_maps(n_classes: int, cosine: float) -> np.ndarray:
    """(C, P) class means: the first at this cosine from all others, which are alike."""
    base = np.ones(SIDE * SIDE)
    other = np.where(np.arange(SIDE * SIDE) % 2, 1.0, -1.0)
    means = np.tile(base, (n_classes, 1))
    means[0] = cosine * base + np.sqrt(1 - cosine**2) * other
    return means


def classes(
    rng: np.random.Generator, per_class: int, n_classes: int, cosine: float, noise: float = 0.3
) -> dict[str, Any]:
    """Maps scattered around class means in brightness and in every patch."""
    y = np.repeat(np.arange(n_classes), per_class)
    x = class_maps(n_classes, cosine)[y] * np.exp(0.3 * rng.standard_normal((len(y), 1)))
    x = (x + noise * rng.standard_normal(x.shape)).reshape(len(y), SIDE, SIDE)
    names = [str(c) for c in range(n_classes)]
    seed = int(rng.integers(2**31))
    return class_structure(x, y, names, seed=seed, n_splits=10, n_permutations=N_PERMUTATIONS)["min"]


def modes(rng: np.random.Generator, n: int, share: float, by_class: bool) -> dict[str, Any]:
    """Mode 0 costs most but in a share of the patches; there another, of the class or any other."""
    y = np.arange(n) % 3
    D = 4
    cost = rng.random((n, SIDE, SIDE, D))
    dominant = np.zeros((n, SIDE, SIDE), np.int64)
    moved = rng.random(dominant.shape) < share
    other = (
        np.broadcast_to(1 + y[:, None, None], dominant.shape)
        if by_class
        else rng.integers(1, D, dominant.shape)
    )
    dominant[moved] = other[moved]
    np.put_along_axis(cost, dominant[..., None], 2.0, -1)
    zero = np.zeros((n, SIDE, SIDE))
    return mode_structure(
        np.ones(cost.shape), zero, cost, cost, labels=y, names="abc", seed=int(rng.integers(2**31)),
        n_permutations=N_PERMUTATIONS,
    )["share"]  # fmt: skip


def gradients(rng: np.random.Generator, n: int, correlation: float) -> dict[str, Any]:
    """Error and gradient maps whose expected Spearman correlation is known."""
    r = pearson_for(correlation, SIDE * SIDE)
    a = rng.standard_normal((n, SIDE * SIDE))
    b = r * a + np.sqrt(1 - r**2) * rng.standard_normal(a.shape)
    return mean_figure(rank_correlation(np.exp(a), np.exp(b)), seed=int(rng.integers(2**31)))


def pearson_for(spearman: float, n: int) -> float:
    """The normal correlation whose sample Spearman correlation over n points has this expectation.

    E = 6 / (pi (n + 1)) (asin r + (n - 2) asin(r / 2)), Moran (1948).
    """

    def excess(r: float) -> float:
        return 6 / (np.pi * (n + 1)) * (np.arcsin(r) + (n - 2) * np.arcsin(r / 2)) - spearman

    return float(optimize.brentq(excess, -1, 1))


def probes(
    rng: np.random.Generator, n: int, strengths: tuple[float, float, float], lift: str
) -> dict[str, Any]:
    """Normal features around random class means, release, eigenvalues and friction this far apart.

    Combinations are fitted only where the lift is one of theirs; they are most of the cost.
    """
    y = np.arange(n) % 3
    features = {}
    for name, strength in zip(SIGNALS, strengths, strict=True):
        direction = rng.standard_normal((3, 12))
        direction -= direction.mean(0)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        features[name] = {"raw": standardised(strength * direction[y] + rng.standard_normal((n, 12)))}
    seed = int(rng.integers(2**31))
    joined = COMBINATIONS if "all" in lift or "+" in lift else {}
    found = cross_validated(features, y, None, combinations=joined, best_of=SIGNALS, seed=seed)
    return lift_figures({name: f.hits for name, f in found.items()}, 1 / 3, None, "simulated", seed)[lift]


def _cells() -> list[Cell]:
    none, some, unlike = (0.0, 0.0, 0.0), (1.5, 1.5, 1.5), (2.0, 1.0, 0.5)
    q1 = {"threshold": 0.1, "comparison": ">", "images": 80}
    q2 = {"threshold": 0.99, "comparison": "<", "needs_p": True}
    q3 = {"threshold": 0.05, "comparison": ">", "images": 60, "needs_p": True}
    q6 = {"threshold": 0.1, "comparison": ">", "images": 80}
    q4 = {"threshold": 0.0, "comparison": ">", "images": 150}
    found = {"true": True, "detectable": True}
    probe = partial(probes, n=150)
    return [
        # A CV of 0 is where the root has a kink, far below the threshold: only the verdict counts there.
        Cell("q1 no structure", partial(spatial, n=80, cv=0.0), 0.0, true=False, covers=False, **q1),
        Cell("q1 threshold", partial(spatial, n=80, cv=0.1), 0.1, true=False, **q1),
        Cell("q1 unlike images", partial(spatial, n=80, cv=0.1, spread=0.8), 0.1, true=False, **q1),
        Cell("q1 planted", partial(spatial, n=80, cv=0.13), 0.13, **found, **q1),
        Cell("q2 identical", partial(classes, per_class=12, n_classes=4, cosine=1.0, noise=1.0), 1.0,
             true=False, images=48, **q2),
        Cell("q2 threshold", partial(classes, per_class=40, n_classes=2, cosine=0.99), 0.99, true=False,
             images=80, **q2),
        Cell("q2 planted", partial(classes, per_class=40, n_classes=4, cosine=0.97), 0.97, images=160,
             **found, **q2),
        Cell("q3 not with class", partial(modes, n=60, share=0.3, by_class=False), 0.3, true=False, **q3),
        Cell("q3 threshold", partial(modes, n=60, share=0.05, by_class=True), 0.05, true=False, **q3),
        Cell("q3 planted", partial(modes, n=60, share=0.065, by_class=True), 0.065, **found, **q3),
        Cell("q4 no signal", partial(probe, strengths=none, lift="release-chance"), 0.0, true=False, **q4),
        Cell("q4 equal", partial(probe, strengths=some, lift="release-friction"), 0.0, true=False, **q4),
        Cell("q4 planted", partial(probe, strengths=unlike, lift="release-friction"), Q4_LIFT,
             covers=False, **found, **q4),
        Cell("q5 nothing added", partial(probe, strengths=(0.0, 1.5, 0.0), lift="all-eigenvalues"), 0.0,
             true=False, covers=False, **q4),
        Cell("q6 unrelated", partial(gradients, n=80, correlation=0.0), 0.0, true=False, **q6),
        Cell("q6 threshold", partial(gradients, n=80, correlation=0.1), 0.1, true=False, **q6),
        Cell("q6 planted", partial(gradients, n=80, correlation=0.14), 0.14, **found, **q6),
    ]  # fmt: skip


CELLS: dict[str, Cell] = {cell.name: cell for cell in _cells()}
