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
from ..study import Study
from .evidence import A_FAMILY, gathered
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


def _by_source(study: Study, of: Callable[[str, Rows], dict[str, Any]]) -> dict[str, Any]:
    """Figures of rows by what they were measured on, ``images`` and ``noise``."""
    rows = {on: getattr(gathered(study).own, on) for on in SOURCES}
    return {on: of(on, own) for on, own in rows.items() if own is not None}


def _beside(
    study: Study,
    on: str,
    name: str,
    title: str,
    of: Callable[[Rows], Any],
    *,
    own: Figure | None = None,
    **how: Any,
) -> Figure:
    """A figure beside its references; ``of`` gives it from the rows of the subject and of every twin.

    ``own``: the subject's, where it is no mean over images. ``how``: see :func:`judged`.
    """
    found, said = gathered(study), published(study.model.name, name, on)
    mine = of(getattr(found.own, on)) if own is None else own
    twins = [of(getattr(twin, on)) for twin in found.twins]
    return judged(title, mine, twins, found.units if on == "images" else None, said=said, **how)


def patch_figure(study: Study, on: str, name: str, title: str) -> Figure:
    """A figure of single patches, mean over images, with where its sampling error comes from.

    ``shares``: of images, patches and draws of simplices in the squared standard error. ``public``: what the
    public code shows, one patch of one image, with the range of 95 % of such single figures.
    """
    own: Rows = getattr(gathered(study).own, on)
    values = own.patch[name]
    if not np.isfinite(values).all():
        return figure(None, None, len(values), f"{title} is undefined for V {own.shape[0]}, D {own.shape[1]}")
    free = free_values(*own.shape, own.norms).get(name)
    how = {"margin": free.spread if free else 0.0, "free": free if own.sphere else None}
    made = _beside(study, on, name, title, lambda rows: rows.patch[name].mean((1, 2)), **how)
    single = values[:, :, 0].ravel()
    public = {"value": float(single[0]), "range95": np.quantile(single, [0.025, 0.975]).tolist()}
    return made | {"shares": nested_shares(values), "public": public}


def _patch_figures(study: Study, titles: Mapping[str, str]) -> dict[str, Any]:
    """Figures of patches by source, and as ``NAME_distance`` that on images from random rows, in margins."""
    found = _by_source(
        study, lambda on, _: {name: patch_figure(study, on, name, title) for name, title in titles.items()}
    )
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


def band(study: Study) -> dict[str, Any]:
    """``cv`` on images and noise, and its distance from random rows."""
    return _patch_figures(study, {"cv": "pentachoron CV"})


def spectrum(study: Study) -> dict[str, Any]:
    """``rank``, ``ratio``, ``s0`` on images and noise, and their distances from random rows."""
    return _patch_figures(study, SPECTRUM)


def coordination(study: Study) -> dict[str, Any]:
    """``s_delta`` and ``s_delta_of_means`` on images and noise; ``gate``, the largest relative move of alpha.

    Margin of the two: a tenth of what the gates can move S by at most at their initial value.
    """
    layers = getattr(study.model.model, "cross_attn", ())

    def of(on: str, own: Rows) -> dict[str, Figure]:
        margin = 0.1 * INITIAL_GATE * max(len(layers), 1) * float(own.image["S"].mean())
        how = {"margin": margin, "free": PATCHES_ALONE}
        return {
            name: _beside(study, on, name, title, lambda rows, name=name: rows.image[name], **how)
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
    return found | {"gate": moved}


def resolution(study: Study) -> dict[str, Any]:
    """``change``: largest relative change of the same pixels' error, at sizes other than 64; ``by_size``."""
    own, twins = gathered(study).passes
    if own is None:
        return {"change": _missing(NO_PASSES, study)}
    said = published(study.model.name, "change", "noise")
    by_size = {
        str(size): judged(
            f"relative change of the error at {size} pixels",
            mean_figure(own.change(size)),
            [float(twin.change(size).mean()) for twin in twins],
            margin=CHANGE,
            free=PATCHES_ALONE,
            said=said,
        )
        for size in own.error
        if size != TRAINED
    }
    n, sizes = len(own.error[TRAINED]), [folded(one["value"], one["ci95"]) for one in by_size.values()]
    most = list(by_size.values())[int(np.argmax([size for size, _ in sizes]))]
    method = f"largest of {len(by_size)} sizes; Student t over {n} noise images"
    whole = figure(*largest(sizes), n, method, reading=most["reading"])
    return {"change": whole, "by_size": by_size}


def tiling(study: Study) -> dict[str, Any]:
    """``distance``: mean abs difference of S in tiles of 64 pixels and in the whole image, over mean S."""
    own, twins = gathered(study).passes
    if own is None or own.tiled is None:
        return {"distance": _missing(NO_ROWS if own else NO_PASSES, study)}
    title, margin = "S of tiles against the whole", TILED * float(own.scale.mean())
    relative = [one.tiled / one.scale for one in (own, *twins)]
    absolute, said = [one.tiled for one in (own, *twins)], published(study.model.name, "tiled", "noise")
    how = {"free": PATCHES_ALONE}
    return {
        "distance": judged(f"{title}, relative", relative[0], relative[1:], margin=TILED, **how),
        "absolute": judged(title, absolute[0], absolute[1:], margin=margin, said=said, **how),
    }


def unseen_noise(study: Study) -> dict[str, Any]:
    """``ratio``: mean error on 16 other families over that on the trained 16; ``error`` and ``rank``."""
    found = gathered(study)
    trained, other = found.own.noise, found.own.unseen
    if trained is None or other is None:
        return {"ratio": _missing(NO_ROWS, study)}
    twins = [float(t.unseen.image["error"].mean() / t.noise.image["error"].mean()) for t in found.twins]
    sizes = float(other.image["power"].mean() / trained.image["power"].mean())
    ratio = judged(
        "error on other families over trained ones",
        family_ratio(other.image["error"], trained.image["error"]),
        twins,
        margin=UNSEEN,
        free=Free(sizes, 0.0, 1, "the families' own mean squares"),
        said=published(study.model.name, "ratio_unseen", "noise"),
    )
    error = _beside(study, "noise", "error", "error on trained families", lambda rows: rows.image["error"])
    rank = patch_figure(study, "unseen", "rank", "effective rank on other families")
    return {"ratio": ratio, "error": error, "rank": rank}


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


def codebook(study: Study) -> dict[str, Any]:
    """``axes``, ``pairs``, ``deviation``, ``kind`` of the mean rows; ``size`` of the deviation on images."""

    def of(on: str, own: Rows) -> dict[str, Any]:
        free = free_values(*own.shape, own.norms)
        figures = resampled_codebook(own.codebook, study.seed)
        made = {
            name: _beside(
                study,
                on,
                name,
                title,
                lambda rows, name=name: codebook_figures(rows.codebook.mean(0))[name],
                own=figures[name],
                margin=CODEBOOK if name == "deviation" else max(1.0, SINGLE * free[name].spread),
                free=free.get(name) if own.sphere else None,
            )
            for name, title in BOOK.items()
        }
        return made | {"kind": codebook_kind(figures["deviation"]["value"])}

    found = _by_source(study, of)
    if "images" not in found:
        return found | {"size": _missing(NO_ROWS, study)}
    one = found["images"]["deviation"]
    size = figure(*folded(one["value"], one["ci95"]), one["n"], one["method"], reading=one["reading"])
    return found | {"size": size}


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


def friction(study: Study) -> dict[str, Any]:
    """``log_friction`` on images and noise; of the maps ``mean``, ``cv`` over patches, ``classes``.

    ``classes``: the largest distance of a class's mean log friction from the mean of all, simultaneous over
    classes (Bonferroni).
    """
    maps = study.maps
    found = _patch_figures(study, {"log_friction": "log friction"})
    if absent := why_absent(maps, "friction"):
        return found | {"classes": _missing(absent, study)}
    images = maps.friction.reshape(len(maps), -1).astype(np.float64)
    cv = spatial_cv_of_mean(maps.friction)
    exact = figure(cv, (cv, cv), len(study), "over these images, no interval")
    mean_said, cv_said = (
        published(study.model.name, name, "images", study.images.name)
        for name in ("mean_friction", "friction_cv")
    )
    with np.errstate(divide="ignore"):
        spread = class_spread(np.log(images).mean(1), study)
    title = "log friction of the class furthest from the mean"
    return found | {
        "mean": judged("mean friction", images.mean(1), (), study.units, said=mean_said),
        "cv": judged("spatial CV of friction", exact, margin=FLAT, said=cv_said),
        "classes": judged(title, spread, margin=CLASSES, free=CLASSES_ALIKE),
    }


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
        wider = scipy.stats.t.ppf(1 - 0.025 / len(members), units.df) / scipy.stats.t.ppf(0.975, units.df)
        ends = [one["value"] + wider * (end - one["value"]) for end in one["ci95"]]
        parts.append(folded(one["value"], ends))
    return figure(*largest(parts), len(study), f"largest of {len(members)} classes; Student t, Bonferroni")
