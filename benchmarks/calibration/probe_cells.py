"""Simulated subjects for the probes' lifts and for attribution, and the cells of all questions."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.calibration.cells import CELLS as OTHER_CELLS
from benchmarks.calibration.cells import MEAN, SIDE, Cell, pearson_for
from geolip_theorems.probes.features import standardised
from geolip_theorems.probes.nested import cross_validated
from geolip_theorems.probes.signals import COMBINATIONS, PARTS
from geolip_theorems.questions.readout.measure import (
    OVER_CHANCE,
    accuracy_figure,
    lift_figures,
    over_chance_figure,
)
from geolip_theorems.run.options import DEFAULT_CONTROLS
from geolip_theorems.stats.attribution import attribution
from geolip_theorems.stats.estimators import inflation
from geolip_theorems.stats.ranks import rank_correlation

N_CLASSES = 3
CORNERS = np.array([[1.0, 0.0], [-0.5, 0.75**0.5], [-0.5, -(0.75**0.5)]])  # equally far apart
COLUMNS = 12  # of a feature group
TWINS = DEFAULT_CONTROLS
FEW = 3  # twins where probes are fitted for each: the fewest
TWIN_MEAN, TWIN_STD = 0.10, 0.02  # of twins' true Spearman correlations


def features(
    rng: np.random.Generator,
    labels: np.ndarray,
    strength: float,
    groups: np.ndarray | None = None,
    shift: float = 0.0,
) -> np.ndarray:
    """(N, 12) normal features around class means ``strength`` from their centre, in a random plane.

    Every subject's classes are equally far apart, so two feature groups of one strength have the same
    expected accuracy. ``shift`` moves all images of a group by a normal vector of this size a column.
    """
    plane = np.linalg.qr(rng.standard_normal((COLUMNS, 2)))[0]
    x = strength * CORNERS[labels] @ plane.T + rng.standard_normal((len(labels), COLUMNS))
    if groups is not None:
        x += shift * rng.standard_normal((int(groups.max()) + 1, COLUMNS))[groups]
    return standardised(x)


def lifts(
    rng: np.random.Generator,
    n: int,
    strengths: dict[str, float],
    n_groups: int = 0,
    shift: float = 0.0,
) -> dict[str, dict[str, Any]]:
    """The lifts of a subject whose signals are this strong; those not named are not measured.

    Args:
        n_groups: of n / n_groups images, every class among them; 0 for independent images.
    """
    y = np.arange(n) % N_CLASSES
    groups = np.arange(n) * n_groups // n if n_groups else None
    read = {name: {"raw": features(rng, y, strength, groups, shift)} for name, strength in strengths.items()}
    seed = int(rng.integers(2**31))
    every = set(strengths) == set(PARTS)
    more = {"combinations": COMBINATIONS, "best_of": PARTS} if every else {"combinations": {}}
    found = cross_validated(read, y, groups, seed=seed, **more)
    hits = {name: part.hits for name, part in found.items()}
    how = groups, "simulated"
    over_chance = over_chance_figure(hits["release"], y, *how, found["release"].n_folds)
    return lift_figures(hits, *how, seed, found["release"].n_folds) | {OVER_CHANCE: over_chance}


def lift(rng: np.random.Generator, name: str, **subject: Any) -> dict[str, Any]:
    """One figure of :func:`lifts`."""
    return lifts(rng, **subject)[name]


def correlated(rng: np.random.Generator, n: int, ahead: float, one_more: bool) -> dict[str, Any]:
    """Attribution of question 6: the subject's true correlation is ``ahead`` of a twin's expected one.

    Twins' true correlations scatter around their mean; the subject's too where it is ``one_more`` twin.
    All see the same images, and half of the variance of their errors is the same.
    """
    true = TWIN_MEAN + TWIN_STD * rng.standard_normal(TWINS + 1)
    true[0] = TWIN_MEAN + ahead + (TWIN_STD * rng.standard_normal() if one_more else 0.0)
    gradient = rng.standard_normal((n, SIDE * SIDE))
    shared = rng.standard_normal(gradient.shape)
    values = []
    for rho in true:
        r = pearson_for(rho, SIDE * SIDE)
        noise = np.sqrt(0.5) * (shared + rng.standard_normal(gradient.shape))
        values.append(rank_correlation(r * gradient + np.sqrt(1 - r**2) * noise, gradient))
    figures = [MEAN.figure(v) for v in values]
    parts = [v[None] for v in values]
    found = attribution(figures[0], figures[1:], ">", own=parts[0], others=parts[1:])
    return _as_figure(found, figures[0]["value"], n)


def classified(rng: np.random.Generator, n: int, ahead: float, scatter: float) -> dict[str, Any]:
    """Attribution of question 4: release features of a subject and twins, of one set of labels.

    Twins' strengths scatter around 1; the subject is one more, ``ahead`` of them.
    """
    y = np.arange(n) % N_CLASSES
    strengths = 1 + scatter * rng.standard_normal(FEW + 1)
    strengths[0] += ahead
    seed = int(rng.integers(2**31))
    hits = [
        cross_validated({"release": {"raw": features(rng, y, s)}}, y, None, combinations={}, seed=seed)
        for s in strengths
    ]
    parts = [1.0 * found["release"].hits for found in hits]
    figures = [accuracy_figure(part, None, "simulated") for part in parts]
    paired = {"own": parts[0], "others": parts[1:], "inflation": inflation(n)}
    found = attribution(figures[0], figures[1:], ">", **paired)
    return _as_figure(found, figures[0]["value"], n)


def _as_figure(found: Any, value: float, n: int) -> dict[str, Any]:
    """The subject's lead over the twins, with the interval that attribution asks to be past 0.

    A verdict ``> 0`` then holds where the answer is yes, a verdict ``< 0`` where it is no.
    """
    low, high = found.twin["range"]
    return {"value": found.difference["value"], "ci95": [value - high, value - low], "n": n}


# Release this strong beats friction of strength 1 by as much as the mean smallest detectable lift that such
# subjects state; both from 360 of them.
DETECTABLE = {"release": 1.53, "friction": 1.0}
DETECTABLE_LIFT = 0.162
AHEAD = 0.075  # of correlations: found four times in five with ten twins


def _cells() -> list[Cell]:
    over = {"threshold": 0.0, "comparison": ">"}
    found = {"true": True, "detectable": True}
    nothing = {"name": OVER_CHANCE, "strengths": {"release": 0.0, "friction": 0.0}}
    alike = {"name": "release-friction", "strengths": {"release": 2.0, "friction": 2.0}}
    idle = dict(zip(PARTS, (0.0, 1.5, 0.0), strict=True))
    grouped = [
        Cell(f"q4 {kind}, {k} groups", partial(lift, n=n, n_groups=k, shift=1.0, **what), 0.0, true=False,
             images=n, **over)
        for k, n in ((6, 150), (13, 156))
        for kind, what in (("no signal", nothing), ("equal", alike))
    ]  # fmt: skip
    return [
        Cell("q4 no signal", partial(lift, n=150, **nothing), 0.0, true=False, images=150, **over),
        Cell("q4 equal", partial(lift, n=150, **alike), 0.0, true=False, images=150, **over),
        Cell("q4 detectable lift", partial(lift, name="release-friction", n=150, strengths=DETECTABLE),
             DETECTABLE_LIFT, images=150, **found, **over),
        *grouped,
        Cell("q5 nothing added", partial(lift, name="all-eigenvalues", n=150, strengths=idle), 0.0,
             true=False, covers=False, images=150, **over),
        Cell("attribution q6, one more twin", partial(correlated, n=80, ahead=0.0, one_more=True), 0.0,
             true=False, images=80, **over),
        Cell("attribution q6, ahead", partial(correlated, n=80, ahead=AHEAD, one_more=False), AHEAD,
             covers=False, images=80, **found, **over),
        Cell("attribution q6, no of one more twin", partial(correlated, n=80, ahead=0.0, one_more=True), 0.0,
             true=False, images=80, threshold=0.0, comparison="<"),
        Cell("attribution q4, one more twin", partial(classified, n=150, ahead=0.0, scatter=0.1), 0.0,
             true=False, images=150, **over),
        Cell("attribution q4, ahead", partial(classified, n=150, ahead=2.0, scatter=0.02), 0.33,
             covers=False, images=150, **found, **over),
    ]  # fmt: skip


CELLS: dict[str, Cell] = {**OTHER_CELLS, **{cell.name: cell for cell in _cells()}}
