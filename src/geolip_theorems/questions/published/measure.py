"""The measures of the published claims: each gives its figures beside their references.

Every margin has a reason, which ``docs/published_claims.md`` gives. That of figures of single patches is one
patch's standard deviation under random rows, since the public code measures one patch.
"""

from __future__ import annotations

from collections.abc import Callable
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
from .free import PATCHES_ALONE, Free, free_values
from .judging import FREE, judged
from .margins import CHANGE, CODEBOOK, FLAT, SINGLE, TILED, UNSEEN
from .passes import TRAINED
from .rows import NO_ROWS, Rows
from .values import Published, published

SOURCES = ("images", "noise")
RESAMPLES = 200
NO_PASSES = "the model's patches do not fit images of 64 pixels"
NO_ATTENTION = "the model has no cross-attention with a gate"


def _said(study: Study, name: str, on: str) -> Published | None:
    return published(study.model.name, name, on)


def _missing(reason: str, study: Study) -> Figure:
    return figure(None, None, len(study), reason)


def _by_source(study: Study, of: Callable[[Gathered, str, Rows], dict[str, Figure]]) -> dict[str, Any]:
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
        reason = f"{title} is undefined for V {own.shape[0]}, D {own.shape[1]}"
        return figure(None, None, len(values), reason)
    free = _free(own).get(name)
    margin = free.spread if free else 0.0
    judged_ = judged(
        title,
        values.mean((1, 2)),
        [getattr(twin, on).patch[name].mean((1, 2)) for twin in found.twins],
        found.units if on == "images" else None,
        margin=margin,
        free=free if own.sphere else None,
        said=_said(study, name, on),
    )
    single = values[:, :, 0].ravel()
    ends = np.quantile(single, [0.025, 0.975])
    public = {"value": float(values[0, 0, 0]), "range95": [float(end) for end in ends]}
    return judged_ | {"shares": nested_shares(values), "public": public}


def _free(own: Rows) -> dict[str, Free]:
    return free_values(*own.shape, own.norms)


def _free_distance(found: dict[str, Any], name: str, study: Study) -> Figure:
    """The distance of a figure on the subject's images from random rows, in margins."""
    one = (found.get("images") or {}).get(name)
    beside = (one or {}).get("references", {}).get(FREE)
    if beside is None:
        return _missing((one or {}).get("method", NO_ROWS), study)
    return distance_figure(one, beside["value"], beside["margin"]) | {"reading": one["reading"]}


def band(study: Study) -> Measured:
    """``cv`` on images and noise, and ``distance`` of that on images from random rows, in margins."""
    found = _by_source(study, lambda g, on, _: {"cv": patch_figure(study, g, on, "cv", "pentachoron CV")})
    return Measured({"published_band": found | {"distance": _free_distance(found, "cv", study)}})


def spectrum(study: Study) -> Measured:
    """``rank``, ``ratio``, ``s0`` on images and noise, and two distances from random rows."""
    titles = {"rank": "effective rank", "ratio": "S0 / S_last", "s0": "S0"}

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Figure]:
        return {name: patch_figure(study, g, on, name, title) for name, title in titles.items()}

    found = _by_source(study, of)
    distances = {f"{name}_distance": _free_distance(found, name, study) for name in ("rank", "ratio")}
    return Measured({"published_spectrum": found | distances})


def coordination(study: Study) -> Measured:
    """``s_delta`` and ``s_delta_of_means`` on images and noise; ``gate``, the largest relative move of alpha.

    Margin of the two: a tenth of what the gates can move S by at most at their initial value.
    """

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Figure]:
        layers = len(getattr(study.model.model, "cross_attn", ()))
        margin = 0.1 * INITIAL_GATE * max(layers, 1) * float(own.image["S"].mean())
        titles = {"s_delta": "s_delta", "s_delta_of_means": "s_delta, trainer's definition"}
        return {
            name: judged(
                title,
                own.image[name],
                [getattr(twin, on).image[name] for twin in g.twins],
                g.units if on == "images" else None,
                margin=margin,
                free=PATCHES_ALONE,
                said=_said(study, name, on),
            )
            for name, title in titles.items()
        }

    found = _by_source(study, of)
    moved = gate_figure(study)
    if found and moved["value"] is not None:
        moved["reading"] = found["images"]["s_delta"]["reading"]
    return Measured({"published_coordination": found | {"gate": moved}})


def gate_figure(study: Study) -> Figure:
    """Largest abs(alpha / initial alpha - 1) over layers and modes; exact, a fact of the weights."""
    layers = getattr(study.model.model, "cross_attn", ())
    logits = [layer.alpha_logits.detach().cpu().numpy() for layer in layers if hasattr(layer, "alpha_logits")]
    if not logits:
        return _missing(NO_ATTENTION, study)
    moved = float(np.abs(gate(np.stack(logits).astype(np.float64)) / INITIAL_GATE - 1).max())
    return figure(moved, (moved, moved), len(study), "exact, from the weights")


def resolution(study: Study) -> Measured:
    """``change``: largest relative change of the same pixels' error, at sizes other than 64; ``by_size``."""
    own = gathered(study).own.passes
    if own is None:
        return Measured({"published_resolution": {"change": _missing(NO_PASSES, study)}})
    twins = [twin.passes for twin in gathered(study).twins if twin.passes]

    def change(passes: Any, size: int) -> np.ndarray:
        return passes.error[size] / passes.error[TRAINED] - 1

    by_size = {
        str(size): judged(
            f"relative change of the error at {size} pixels",
            change(own, size),
            [change(twin, size) for twin in twins if size in twin.error],
            margin=CHANGE,
            free=PATCHES_ALONE,
        )
        for size in own.error
        if size != TRAINED
    }
    sizes = [folded(one["value"], one["ci95"]) for one in by_size.values()]
    value, ends = largest(sizes)
    most = list(by_size.values())[int(np.argmax([size for size, _ in sizes]))]
    method = f"largest of {len(by_size)} sizes; Student t over {len(own.error[TRAINED])} noise images"
    whole = figure(value, ends, len(own.error[TRAINED]), method, reading=most["reading"])
    return Measured({"published_resolution": {"change": whole, "by_size": by_size}})


def tiling(study: Study) -> Measured:
    """``distance``: mean abs difference of S in tiles of 64 pixels and in the whole image, over mean S."""
    found = gathered(study)
    own = found.own.passes
    if own is None or own.tiled is None:
        return Measured(
            {"published_tiling": {"distance": _missing(NO_PASSES if own is None else NO_ROWS, study)}}
        )
    twins = [twin.passes.tiled / twin.passes.scale for twin in found.twins if twin.passes]
    title = "S of tiles against the whole, relative"
    relative = judged(title, own.tiled / own.scale, twins, margin=TILED, free=PATCHES_ALONE)
    return Measured(
        {"published_tiling": {"distance": relative, "absolute": mean_figure(own.tiled, bootstrap=False)}}
    )


def unseen_noise(study: Study) -> Measured:
    """``ratio``: mean error on 16 other families over that on the trained 16; ``error`` and ``rank``."""
    found = gathered(study)
    own = found.own
    if own.noise is None or own.unseen is None:
        return Measured({"published_unseen_noise": {"ratio": _missing(NO_ROWS, study)}})
    twins = [float(t.unseen.image["error"].mean() / t.noise.image["error"].mean()) for t in found.twins]
    ratio = family_ratio(own.unseen.image["error"], own.noise.image["error"])
    title = "error on other families over trained ones"
    error = judged(
        "error on trained families",
        own.noise.image["error"],
        said=_said(study, "error", "noise"),
    )
    rank = patch_figure(study, found, "unseen", "rank", "effective rank on other families")
    return Measured(
        {
            "published_unseen_noise": {
                "ratio": judged(
                    title, ratio, twins, margin=UNSEEN, said=_said(study, "ratio_unseen", "noise")
                ),
                "error": error,
                "rank": rank,
            }
        }
    )


def family_ratio(above: np.ndarray, below: np.ndarray) -> Figure:
    """Ratio of two means over families, families fixed: (F A,) each, A images a family, one after the other.

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
        free, titles = _free(own), {"axes": "axes", "pairs": "antipodal pairs", "deviation": "deviation"}
        books = [codebook_figures(getattr(twin, on).codebook.mean(0)) for twin in g.twins]
        figures = resampled_codebook(own.codebook, study.seed)
        judged_ = {
            name: judged(
                title,
                figures[name],
                [book[name] for book in books],
                margin=CODEBOOK if name == "deviation" else max(1.0, SINGLE * free[name].spread),
                free=free.get(name),
                said=_said(study, name, on),
            )
            for name, title in titles.items()
        }
        return judged_ | {"kind": codebook_kind(figures["deviation"]["value"])}

    found = _by_source(study, of)
    one = (found.get("images") or {}).get("deviation")
    if one is None or one["ci95"] is None:
        return Measured({"published_codebook": found | {"size": _missing(NO_ROWS, study)}})
    value, ends = folded(one["value"], one["ci95"])
    size = figure(value, ends, one["n"], one["method"], reading=one["reading"])
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
    maps = study.maps

    def of(g: Gathered, on: str, own: Rows) -> dict[str, Figure]:
        return {"log_friction": patch_figure(study, g, on, "log_friction", "log friction")}

    found = _by_source(study, of)
    found["distance"] = _free_distance(found, "log_friction", study)
    absent = why_absent(maps, "friction")
    if absent:
        return Measured({"published_friction": found | {"classes": _missing(absent, study)}})
    images = maps.friction.reshape(len(maps), -1).astype(np.float64)
    cv = spatial_cv_of_mean(maps.friction)
    mean, said = images.mean(1), _said(study, "mean_friction", "images")
    found["mean"] = judged("mean friction", mean, (), study.units, said=said)
    exact = figure(cv, (cv, cv), len(study), "over these images, no interval")
    found["cv"] = judged(
        "spatial CV of friction", exact, margin=FLAT, said=_said(study, "friction_cv", "images")
    )
    return Measured({"published_friction": found | {"classes": class_spread(np.log(images).mean(1), study)}})


def class_spread(values: np.ndarray, study: Study) -> Figure:
    """The largest abs difference of a class's mean from the mean over classes, of (N,) values."""
    if not study.several_classes:
        return _missing("the images have no labels of several classes", study)
    classes = np.unique(study.labels)
    whole = np.mean([values[study.labels == c].mean() for c in classes])
    parts = []
    for c in classes:
        rows = study.labels == c
        one = mean_figure(values[rows] - whole, study.units.take(rows), bootstrap=False)
        if one["ci95"] is None:
            return figure(None, None, len(study), one["method"])
        df = study.units.take(rows).df
        wider = scipy.stats.t.ppf(1 - 0.025 / len(classes), df) / scipy.stats.t.ppf(0.975, df)
        parts.append(
            folded(one["value"], [one["value"] + wider * (end - one["value"]) for end in one["ci95"]])
        )
    value, ends = largest(parts)
    return figure(value, ends, len(study), f"largest of {len(classes)} classes; Student t, Bonferroni")
