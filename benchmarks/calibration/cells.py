"""Simulated subjects whose true figures are known, one kind a cell: questions 1, 2, 3 and 6."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy import optimize

from geolip_theorems.questions.classes.measure import measure as class_measure
from geolip_theorems.questions.modes.measure import measure as mode_measure
from geolip_theorems.questions.spatial.measure import measure as spatial_measure
from geolip_theorems.questions.study import Study
from geolip_theorems.stats.estimators import Mean
from geolip_theorems.stats.ranks import rank_correlation

MEAN = Mean()

PIXELS = 16  # a patch
SIDE = 8
N_PERMUTATIONS = 299
N_NULL = 119
UNEVEN = (3, 4, 5, 6, 8, 12, 18, 24)  # images per group
SINGLE = np.ones(255, int)
UNLIKE = np.repeat([20, 2], [4, 40])  # images of groups, the first four of another class


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


def spatial(
    rng: np.random.Generator, n: int, cv: float, spread: float = 0.0, grey: bool = False
) -> dict[str, Any]:
    """Gaussian residuals around maps of a given CV, the root mean square over images where it varies.

    A pixel's three channels are independent, or the same: grey residuals.
    """
    pattern = rng.standard_normal((n, SIDE * SIDE))
    pattern -= pattern.mean(1, keepdims=True)
    pattern /= pattern.std(1, ddof=1, keepdims=True)
    each = cv * np.sqrt(1 + spread * rng.choice([-1.0, 1.0], (n, 1)))
    mean = np.maximum(1 + each * pattern, 1e-3)
    # The mean square of k normals is a gamma variable of shape k / 2 and mean 1.
    half = 0.5 if grey else 1.5
    squared = rng.standard_gamma(half, (n, SIDE * SIDE, PIXELS)) / half * mean[..., None]
    error, var = squared.mean(-1), squared.var(-1)
    error, var = (values.reshape(n, SIDE, SIDE) for values in (error, var))
    maps = SimpleNamespace(error=error, pixel_var=var, patch_pixels=PIXELS, error_half=None)
    found = spatial_measure(Study(maps, seed=int(rng.integers(2**31)), n_null=N_NULL))
    return found.figures["spatial_cv"]["corrected"]


def class_maps(n_classes: int, cosine: float) -> np.ndarray:
    """(C, P) class means: the first at this cosine from all others, which are alike."""
    base = np.ones(SIDE * SIDE)
    other = np.where(np.arange(SIDE * SIDE) % 2, 1.0, -1.0)
    means = np.tile(base, (n_classes, 1))
    means[0] = cosine * base + np.sqrt(1 - cosine**2) * other
    return means


def classes(
    rng: np.random.Generator, sizes: tuple[int, ...], cosine: float, noise: float = 0.3
) -> dict[str, Any]:
    """Maps scattered around class means in brightness and in every patch; classes of these sizes."""
    return _cosine(rng, np.repeat(np.arange(len(sizes)), sizes), None, cosine, noise)


def blocks(rng: np.random.Generator, groups: int, cosine: float) -> dict[str, Any]:
    """Groups of unequal size, each of one class, that have a map of their own in common."""
    size = np.tile(np.repeat([2, 4, 8], 2), groups)[: 2 * groups]
    g = np.repeat(np.arange(2 * groups), size)
    return _cosine(rng, g % 2, g, cosine, 0.3, of_group=0.3)


def crossed_classes(
    rng: np.random.Generator, groups: int, cosine: float, interaction: float
) -> dict[str, Any]:
    """Every group holds every class; what a class's maps are like changes from group to group by chance."""
    y, g = crossed(groups)
    return _cosine(rng, y, g, cosine, 0.3, of_group=0.3, of_cell=interaction)


def crossed(groups: int, n_classes: int = 3, per_cell: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups (N,): each group holds as many images of each class."""
    cells = np.repeat(np.arange(groups * n_classes), per_cell)
    return cells % n_classes, cells // n_classes


def _cosine(
    rng: np.random.Generator,
    y: np.ndarray,
    g: np.ndarray | None,
    cosine: float,
    noise: float,
    of_group: float = 0.0,
    of_cell: float = 0.0,
) -> dict[str, Any]:
    n_classes, places = int(y.max()) + 1, SIDE * SIDE
    x = class_maps(n_classes, cosine)[y] * np.exp(0.3 * rng.standard_normal((len(y), 1)))
    x = x + noise * rng.standard_normal(x.shape)
    if g is not None:
        x += of_group * rng.standard_normal((g.max() + 1, places))[g]
        x += of_cell * rng.standard_normal((g.max() + 1, n_classes, places))[g, y]
    maps = SimpleNamespace(error=x.reshape(len(y), SIDE, SIDE), labels=y, groups=g)
    study = Study(maps, seed=int(rng.integers(2**31)), n_permutations=N_PERMUTATIONS)
    return class_measure(study, n_splits=10).figures["class_cosine"]["min"]


def modes(rng: np.random.Generator, n: int, share: float, by_class: bool) -> dict[str, Any]:
    """Mode 0 costs most but in a share of the patches; there another, of the class or any other."""
    y = np.arange(n) % 3
    other = np.broadcast_to(1 + y[:, None, None], (n, SIDE, SIDE))
    return _share(rng, y, None, share, other if by_class else rng.integers(1, 4, other.shape))


def crossed_modes(rng: np.random.Generator, groups: int, share: float, by_class: float) -> dict[str, Any]:
    """Which other mode it is goes, patch by patch, with class (``by_class`` of them) or class x group.

    In every group chance gives every class a mode of its own, for the rest of its patches.
    """
    y, g = crossed(groups)
    of_cell = rng.integers(1, 4, (groups, 3))[g, y]
    of_class = rng.random((len(y), SIDE, SIDE)) < by_class
    return _share(rng, y, g, share, np.where(of_class, 1 + y[:, None, None], of_cell[:, None, None]))


def unlike_modes(rng: np.random.Generator, sizes: np.ndarray, first: int, scatter: tuple) -> dict[str, Any]:
    """Two classes alike in which modes matter on average, and unlike in how much that varies.

    Args:
        sizes: images of each unit (an image, or a group of one class). first: units of the first class.
        scatter: how far a unit's shares are from the mean, for either class.
    """
    of_unit = (np.arange(len(sizes)) >= first).astype(int)
    g = np.repeat(np.arange(len(sizes)), sizes)
    part = 0.5 + np.array(scatter)[of_unit] * rng.choice([-1, 1], len(sizes))
    other = np.where(rng.random((len(g), SIDE, SIDE)) < part[g, None, None], 1, 2)
    return _share(rng, of_unit[g], None if max(sizes) == 1 else g, 0.3, other)


def _share(
    rng: np.random.Generator, y: np.ndarray, g: np.ndarray | None, share: float, other: np.ndarray
) -> dict[str, Any]:
    cost = rng.random((*other.shape, 4))
    moved = rng.random(other.shape) < share
    np.put_along_axis(cost, np.where(moved, other, 0)[..., None], 2.0, -1)
    how = {"seed": int(rng.integers(2**31)), "n_permutations": N_PERMUTATIONS}
    return _mode_share(np.zeros(other.shape), cost, {"labels": y, "classes": "abc", "groups": g}, **how)


def _mode_share(
    error: np.ndarray, without: np.ndarray, more: Mapping[str, Any], **how: Any
) -> dict[str, Any]:
    parts = {"S": np.ones(without.shape), "error_only": without, "error_without": without}
    maps = SimpleNamespace(error=error, **parts, ablated=np.arange(len(error)), absent={}, **more)
    return mode_measure(Study(maps, **how)).figures["modes"]["share"]


def rounding(rng: np.random.Generator, n: int) -> dict[str, Any]:
    """No mode matters: errors without a mode differ from the error by the rounding of float32 alone."""
    error = rng.gamma(2.0, 0.1, (n, SIDE, SIDE)).astype(np.float32)
    without = (error[..., None] * (1 + 1e-6 * rng.standard_normal((n, SIDE, SIDE, 4)))).astype(np.float32)
    return _mode_share(error, without, {})


def gradients(rng: np.random.Generator, n: int, correlation: float) -> dict[str, Any]:
    """Error and gradient maps whose expected Spearman correlation is known."""
    return MEAN.figure(_correlations(rng, np.full(n, correlation)))


def grouped_gradients(rng: np.random.Generator, correlation: float, spread: float) -> dict[str, Any]:
    """The same in few groups of unequal size, whose correlations are this much more, or less."""
    g = np.repeat(np.arange(len(UNEVEN)), UNEVEN)
    of_group = correlation + spread * rng.choice([-1, 1], len(UNEVEN))
    return MEAN.figure(_correlations(rng, of_group[g]), g)


def _correlations(rng: np.random.Generator, expected: np.ndarray) -> np.ndarray:
    known = {value: pearson_for(value, SIDE * SIDE) for value in np.unique(expected)}
    r = np.array([known[value] for value in expected])[:, None]
    a = rng.standard_normal((len(expected), SIDE * SIDE))
    b = r * a + np.sqrt(1 - r**2) * rng.standard_normal(a.shape)
    return rank_correlation(np.exp(a), np.exp(b))


def pearson_for(spearman: float, n: int) -> float:
    """The normal correlation whose sample Spearman correlation over n points has this expectation.

    E = 6 / (pi (n + 1)) (asin r + (n - 2) asin(r / 2)), Moran (1948).
    """

    def excess(r: float) -> float:
        return 6 / (np.pi * (n + 1)) * (np.arcsin(r) + (n - 2) * np.arcsin(r / 2)) - spearman

    return float(optimize.brentq(excess, -1, 1))


def _cells() -> list[Cell]:
    q1 = {"threshold": 0.1, "comparison": ">", "images": 40, "needs_p": True}
    q2 = {"threshold": 0.99, "comparison": "<", "needs_p": True}
    q3 = {"threshold": 0.05, "comparison": ">", "needs_p": True}
    q6 = {"threshold": 0.1, "comparison": ">", "images": 80}
    found = {"true": True, "detectable": True}
    return [
        # A CV of 0 is where the root has a kink, far below the threshold: only the verdict counts there.
        Cell("q1 no structure", partial(spatial, n=40, cv=0.0), 0.0, true=False, covers=False, **q1),
        Cell("q1 grey residuals", partial(spatial, n=40, cv=0.0, grey=True), 0.0, true=False, covers=False,
             **q1),
        Cell("q1 grey threshold", partial(spatial, n=40, cv=0.1, grey=True), 0.1, true=False, **q1),
        Cell("q1 threshold", partial(spatial, n=40, cv=0.1), 0.1, true=False, **q1),
        Cell("q1 unlike images", partial(spatial, n=40, cv=0.1, spread=0.8), 0.1, true=False, **q1),
        Cell("q1 planted", partial(spatial, n=40, cv=0.13), 0.13, **found, **q1),
        Cell("q2 identical", partial(classes, sizes=(12,) * 4, cosine=1.0, noise=1.0), 1.0, true=False,
             images=48, **q2),
        Cell("q2 threshold", partial(classes, sizes=(40, 40), cosine=0.99), 0.99, true=False, images=80,
             **q2),
        Cell("q2 small class", partial(classes, sizes=(6, 74), cosine=0.99), 0.99, true=False, images=80,
             **q2),
        Cell("q2 uneven blocks", partial(blocks, groups=9, cosine=0.99), 0.99, true=False, images=84, **q2),
        Cell("q2 class x group", partial(crossed_classes, groups=12, cosine=1.0, interaction=0.5), 1.0,
             true=False, images=144, **q2),
        Cell("q2 planted", partial(classes, sizes=(40,) * 4, cosine=0.97), 0.97, images=160, **found, **q2),
        Cell("q2 planted in groups", partial(crossed_classes, groups=12, cosine=0.9, interaction=0.5), 0.9,
             images=144, **found, **q2),
        Cell("q3 not with class", partial(modes, n=60, share=0.3, by_class=False), 0.3, true=False,
             images=60, **q3),
        Cell("q3 class x group", partial(crossed_modes, groups=12, share=0.3, by_class=0.0), 0.3,
             true=False, images=144, **q3),
        Cell("q3 unlike scatter", partial(unlike_modes, sizes=SINGLE, first=15, scatter=(0.45, 0.1)), 0.3,
             true=False, images=255, **q3),
        Cell("q3 uneven pure groups", partial(unlike_modes, sizes=UNLIKE, first=4, scatter=(0.2, 0.2)), 0.3,
             true=False, images=160, **q3),
        Cell("q3 rounding", partial(rounding, n=80), 0.0, true=False, images=80, **q3 | {"needs_p": False}),
        Cell("q3 threshold", partial(modes, n=60, share=0.05, by_class=True), 0.05, true=False, images=60,
             **q3),
        Cell("q3 planted", partial(modes, n=60, share=0.065, by_class=True), 0.065, images=60, **found, **q3),
        Cell("q3 planted in groups", partial(crossed_modes, groups=12, share=0.3, by_class=0.5), 0.3,
             images=144, **found, **q3),
        Cell("q6 unrelated", partial(gradients, n=80, correlation=0.0), 0.0, true=False, **q6),
        Cell("q6 threshold", partial(gradients, n=80, correlation=0.1), 0.1, true=False, **q6),
        Cell("q6 few uneven groups", partial(grouped_gradients, correlation=0.1, spread=0.05), 0.1,
             true=False, **q6 | {"images": sum(UNEVEN)}),
        Cell("q6 planted", partial(gradients, n=80, correlation=0.14), 0.14, **found, **q6),
    ]  # fmt: skip


CELLS: dict[str, Cell] = {cell.name: cell for cell in _cells()}
