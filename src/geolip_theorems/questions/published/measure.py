"""The measures of the published claims: each gives its figures beside their references.

Every margin has a reason, which ``docs/published_claims.md`` gives. That of figures of single patches is one
patch's standard deviation under random rows, since the public code measures one patch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import scipy

from ...stats.equivalence import distance_figure, folded, largest, nested_shares
from ...stats.figure import Figure, figure
from ...stats.grids import why_absent
from ...stats.intervals import mean_figure
from ..base import Measured
from ..study import Study
from .evidence import A_FAMILY, Gathered, gathered
from .formulas import INITIAL_GATE, codebook_figures, codebook_kind, gate, spatial_cv_of_mean
from .free import CLASSES_ALIKE, INITIAL, PATCHES_ALONE, Free, free_values
from .judging import FREE, judged
from .margins import CHANGE, CLASSES, CODEBOOK, FLAT, GATE, SINGLE, TILED, UNSEEN
from .passes import TRAINED
from .rows import NO_ROWS, Rows
from .values import published

SOURCES = ("images", "noise")
RESAMPLES = 200
NO_SPHERE = "the rows of M are not of length 1, so random unit rows say nothing of them"
NO_PASSES = "the model's patches do not fit images of 64 pixels"
NO_ATTENTION = "the model has no cross-attention with a gate"
SPECTRUM = {"rank": "effective rank", "ratio": "S0 / S_last", "s0": "S0"}
DELTAS = {"s_delta": "s_delta", "s_delta_of_means": "s_delta, trainer's definition"}
BOOK = {"axes": "axes", "pairs": "antipodal pairs", "deviation": "deviation"}


def _missing(reason: str, study: Study) -> Figure:
    return figure(None, None, len(study), reason)


def _by_source(study: Study, of: Callable[[Gathered, str, Rows], dict[str, Any]]) -> dict[str, Any]:
    """Figures of rows by what they were measured on, ``images`` and ``noise``."""
    found = gathered(study)
    rows = {on: getattr(found.own, on) for on in SOURCES}
    return {on: of(found, on, own) for on, own in rows.items() if own is not None}


def patch_figure(study: Study, found: Gathered, on: str, name: str, title: str) -> Figure:
    """A figure of single patches, mean over images, with where its sampling error comes from.

    ``shares``: of images, patches and draws of simplices in the squared standard error. ``public``: what the
    public code shows, one patch of one image, with the range of 95 % of such single figures.
    """
    own: Rows = getattr(found.own, on)
    values = own.patch[name]
    if not np.isfinite(values).all():
        return figure(None, None, len(values), f"{title} is undefined for V {own.shape[0]}, D {own.shape[1]}")
    free = free_values(*own.shape, own.norms).get(name)
    made = judged(
        title,
        values.mean((1, 2)),
        [getattr(twin, on).patch[name].mean((1, 2)) for twin in found.twins],
        found.units if on == "images" else None,
        margin=free.spread if free else 0.0,
        free=free if own.sphere else None,
        said=published(study.model.name, name, on),
    )
    single = values[:, :, 0].ravel()
    public = {"value": float(single[0]), "range95": np.quantile(single, [0.025, 0.975]).tolist()}
    return made | {"shares": nested_shares(values), "public": public}


def _patch_figures(study: Study, titles: Mapping[str, str]) -> dict[str, Any]:
    """Figures of patches by source, and as ``NAME_distance`` that on images from random rows, in margins."""

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Figure]:
        return {name: patch_figure(study, g, on, name, title) for name, title in titles.items()}

    found = _by_source(study, of)
    distances = {}
    for name in titles:
        one = found["images"][name] if "images" in found else _missing(NO_ROWS, study)
        beside = one.get("references", {}).get(FREE)
        distances[f"{name}_distance"] = (
            distance_figure(one, beside["value"], beside["margin"]) | {"reading": one["reading"]}
            if beside
            else _missing(one["method"] if one["ci95"] is None else NO_SPHERE, study)
        )
    return found | distances


def band(study: Study) -> Measured:
    """``cv`` on images and noise, and its distance from random rows."""
    return Measured({"published_band": _patch_figures(study, {"cv": "pentachoron CV"})})


def spectrum(study: Study) -> Measured:
    """``rank``, ``ratio``, ``s0`` on images and noise, and their distances from random rows."""
    return Measured({"published_spectrum": _patch_figures(study, SPECTRUM)})


def coordination(study: Study) -> Measured:
    """``s_delta`` and ``s_delta_of_means`` on images and noise; ``gate``, the largest relative move of alpha.

    Margin of the two: a tenth of what the gates can move S by at most at their initial value.
    """
    layers = getattr(study.model.model, "cross_attn", ())

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Figure]:
        return {
            name: judged(
                title,
                own.image[name],
                [getattr(twin, on).image[name] for twin in g.twins],
                g.units if on == "images" else None,
                margin=0.1 * INITIAL_GATE * max(len(layers), 1) * float(own.image["S"].mean()),
                free=PATCHES_ALONE,
                said=published(study.model.name, name, on),
            )
            for name, title in DELTAS.items()
        }

    found = _by_source(study, of)
    known = [layer.alpha_logits for layer in layers if hasattr(layer, "alpha_logits")]
    logits = [one.detach().double().cpu().numpy() for one in known]
    moved = _missing(NO_ATTENTION, study)
    if logits:
        most = float(np.abs(gate(np.stack(logits)) / INITIAL_GATE - 1).max())
        exact = figure(most, (most, most), len(study), "exact, from the weights")
        initial = [0.0 for _ in gathered(study).twins]  # untrained networks' is where training begins
        moved = judged("relative move of the gate", exact, initial, margin=GATE, free=INITIAL)
    return Measured({"published_coordination": found | {"gate": moved}})


def resolution(study: Study) -> Measured:
    """``change``: largest relative change of the same pixels' error, at sizes other than 64; ``by_size``."""
    own, twins = gathered(study).own.passes, [t.passes for t in gathered(study).twins if t.passes]
    if own is None:
        return Measured({"published_resolution": {"change": _missing(NO_PASSES, study)}})
    by_size = {
        str(size): judged(
            f"relative change of the error at {size} pixels",
            mean_figure(own.change(size)),
            [float(twin.change(size).mean()) for twin in twins],
            margin=CHANGE,
            free=PATCHES_ALONE,
            said=published(study.model.name, "change", "noise"),
        )
        for size in own.error
        if size != TRAINED
    }
    n, sizes = len(own.error[TRAINED]), [folded(one["value"], one["ci95"]) for one in by_size.values()]
    most = list(by_size.values())[int(np.argmax([size for size, _ in sizes]))]
    method = f"largest of {len(by_size)} sizes; Student t over {n} noise images"
    whole = figure(*largest(sizes), n, method, reading=most["reading"])
    return Measured({"published_resolution": {"change": whole, "by_size": by_size}})


def tiling(study: Study) -> Measured:
    """``distance``: mean abs difference of S in tiles of 64 pixels and in the whole image, over mean S."""
    found = gathered(study)
    own = found.own.passes
    if own is None or own.tiled is None:
        return Measured({"published_tiling": {"distance": _missing(NO_ROWS if own else NO_PASSES, study)}})
    twins = [twin.passes for twin in found.twins if twin.passes]
    title, margin = "S of tiles against the whole", TILED * float(own.scale.mean())
    relative = [twin.tiled / twin.scale for twin in twins]
    said = published(study.model.name, "tiled", "noise")
    figures = {
        "distance": judged(
            f"{title}, relative", own.tiled / own.scale, relative, margin=TILED, free=PATCHES_ALONE
        ),
        "absolute": judged(
            title, own.tiled, [twin.tiled for twin in twins], margin=margin, free=PATCHES_ALONE, said=said
        ),
    }
    return Measured({"published_tiling": figures})


def unseen_noise(study: Study) -> Measured:
    """``ratio``: mean error on 16 other families over that on the trained 16; ``error`` and ``rank``."""
    found, version = gathered(study), study.model.name
    own = found.own
    if own.noise is None or own.unseen is None:
        return Measured({"published_unseen_noise": {"ratio": _missing(NO_ROWS, study)}})
    trained, other = own.noise.image["error"], own.unseen.image["error"]
    twins = [float(t.unseen.image["error"].mean() / t.noise.image["error"].mean()) for t in found.twins]
    said = published(version, "ratio_unseen", "noise")
    title = "error on other families over trained ones"
    sizes = float(own.unseen.image["power"].mean() / own.noise.image["power"].mean())
    free = Free(sizes, 0.0, 1, "the families' own mean squares")
    ratio = judged(title, family_ratio(other, trained), twins, margin=UNSEEN, free=free, said=said)
    said, errors = published(version, "error", "noise"), [t.noise.image["error"] for t in found.twins]
    error = judged("error on trained families", trained, errors, said=said)
    rank = patch_figure(study, found, "unseen", "rank", "effective rank on other families")
    return Measured({"published_unseen_noise": {"ratio": ratio, "error": error, "rank": rank}})


def family_ratio(above: np.ndarray, below: np.ndarray) -> Figure:
    """Ratio of two means over families, families fixed: (F A,) each, A images per family, one by one.

    The interval is by linearisation, from the variance within families (Cochran 1977, 5.9).
    """
    above, below = (values.reshape(-1, A_FAMILY) for values in (above, below))

    def relative(part: np.ndarray) -> float:
        """Squared standard error of the mean, over the squared mean."""
        return part.var(1, ddof=1).sum() / A_FAMILY / len(part) ** 2 / part.mean() ** 2

    value = above.mean() / below.mean()
    df = min(len(above), len(below)) * (A_FAMILY - 1)
    reach = float(scipy.stats.t.ppf(0.975, df)) * value * (relative(above) + relative(below)) ** 0.5
    method = "Student t over images within families"
    return figure(value, (value - reach, value + reach), above.size + below.size, method)


def codebook(study: Study) -> Measured:
    """``axes``, ``pairs``, ``deviation``, ``kind`` of the mean rows; ``size`` of the deviation on images."""

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Any]:
        free = free_values(*own.shape, own.norms)
        books = [codebook_figures(getattr(twin, on).codebook.mean(0)) for twin in g.twins]
        figures = resampled_codebook(own.codebook, study.seed)
        made = {
            name: judged(
                title,
                figures[name],
                [book[name] for book in books],
                margin=CODEBOOK if name == "deviation" else max(1.0, SINGLE * free[name].spread),
                free=free.get(name) if own.sphere else None,
                said=published(study.model.name, name, on),
            )
            for name, title in BOOK.items()
        }
        return made | {"kind": codebook_kind(figures["deviation"]["value"])}

    found = _by_source(study, of)
    if "images" not in found:
        return Measured({"published_codebook": found | {"size": _missing(NO_ROWS, study)}})
    one = found["images"]["deviation"]
    size = figure(*folded(one["value"], one["ci95"]), one["n"], one["method"], reading=one["reading"])
    return Measured({"published_codebook": found | {"size": size}})


def resampled_codebook(books: np.ndarray, seed: int) -> dict[str, Figure]:
    """Figures of the codebook (I, V, D) averaged over images, intervals from 200 resamples of the images."""
    rng, n = np.random.default_rng(seed), len(books)
    drawn = [codebook_figures(books[rng.integers(0, n, n)].mean(0)) for _ in range(RESAMPLES)]
    method = f"percentile bootstrap over images, {RESAMPLES} resamples"
    found = {}
    for name, value in codebook_figures(books.mean(0)).items():
        low, high = np.quantile([one[name] for one in drawn], [0.025, 0.975])
        found[name] = figure(value, (min(low, value), max(high, value)), n, method)
    return found


def friction(study: Study) -> Measured:
    """``log_friction`` on images and noise; of the maps ``mean``, ``cv`` over patches, ``classes``.

    ``classes``: the largest distance of a class's mean log friction from the mean of all, simultaneous over
    classes (Bonferroni).
    """
    maps, version = study.maps, study.model.name
    found = _patch_figures(study, {"log_friction": "log friction"})
    if absent := why_absent(maps, "friction"):
        return Measured({"published_friction": found | {"classes": _missing(absent, study)}})
    images = maps.friction.reshape(len(maps), -1).astype(np.float64)
    cv = spatial_cv_of_mean(maps.friction)
    exact = figure(cv, (cv, cv), len(study), "over these images, no interval")
    said = {
        name: published(version, name, "images", study.images.name)
        for name in ("mean_friction", "friction_cv")
    }
    with np.errstate(divide="ignore"):
        logs = np.log(images).mean(1)
    found |= {
        "mean": judged("mean friction", images.mean(1), (), study.units, said=said["mean_friction"]),
        "cv": judged("spatial CV of friction", exact, margin=FLAT, said=said["friction_cv"]),
        "classes": judged(
            "log friction of the class furthest from the mean",
            class_spread(logs, study),
            margin=CLASSES,
            free=CLASSES_ALIKE,
        ),
    }
    return Measured({"published_friction": found})


def class_spread(values: np.ndarray, study: Study) -> Figure:
    """The largest abs difference of a class's mean from the mean over classes, of (N,) values."""
    if not study.several_classes:
        return _missing("the images have no labels of several classes", study)
    if not np.isfinite(values).all():
        return _missing("some modes have a friction of 0, whose logarithm is undefined", study)
    members = [study.labels == c for c in np.unique(study.labels)]
    whole, parts = np.mean([values[rows].mean() for rows in members]), []
    for rows in members:
        units = study.units.take(rows)
        one = mean_figure(values[rows] - whole, units)
        if one["ci95"] is None:
            return _missing(one["method"], study)
        tail = 1 - 0.025 / len(members)
        wider = scipy.stats.t.ppf(tail, units.df) / scipy.stats.t.ppf(0.975, units.df)
        ends = [one["value"] + wider * (end - one["value"]) for end in one["ci95"]]
        parts.append(folded(one["value"], ends))
    return figure(*largest(parts), len(study), f"largest of {len(members)} classes; Student t, Bonferroni")
