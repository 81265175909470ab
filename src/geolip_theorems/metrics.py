"""The metrics that runs are compared by: which way is better, what change matters, how images pair.

One table. *Better* follows the theorem: a claim's figure is better further on the claim's side, the release
error is better smaller. Metrics without a better direction describe; they are compared and never fail a
run. *Smallest change of interest*: a difference below it is of no consequence even where it is certain. They
are conventions: about a fifth of a threshold's distance from 0, two points of accuracy, a twentieth of the
error.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        path: where the figure is in ``measurements.calibrated``, keys joined by dots.
        title: in a few words.
        question: ``q1`` to ``q6``, or ``all``.
        better: +1 where larger is better, -1 where smaller is, 0 where neither is.
        smallest: the smallest change of interest, in the figure's own unit; of a relative metric, a share.
        kind: how the difference is formed, see :mod:`geolip_theorems.measures.paired`.
        keys: the per-image arrays it is formed from, without ``per_image/``.
        unit: ``pp``, percentage points of a share; ``%``, relative to the reference; else none.
    """

    path: str
    title: str
    question: str
    better: int
    smallest: float
    kind: str
    keys: tuple[str, ...]
    unit: str = ""


ALL = "hits/release+eigenvalues+friction"
METRICS: tuple[Metric, ...] = (
    Metric("error", "release error", "all", -1, 0.05, "ratio", ("error",), "%"),
    Metric("spatial_cv.corrected", "spatial CV, noise-corrected", "q1", +1, 0.02, "root", ("squared_cv",)),
    Metric(
        "class_cosine.min", "cosine of the most distant classes", "q2", -1, 0.01, "cosine", ("error_map",)
    ),
    Metric(
        "modes.share", "share of patches with another costliest mode", "q3", +1, 0.05, "mean", ("other_mode",)
    ),
    Metric(
        "lifts.release-chance",
        "accuracy of release over chance",
        "q4",
        +1,
        0.02,
        "hits",
        ("hits/release",),
        "pp",
    ),
    Metric(
        "lifts.release-friction",
        "accuracy, release over friction",
        "q4",
        +1,
        0.02,
        "lift",
        ("hits/release", "hits/friction"),
        "pp",
    ),
    Metric(
        "probes.release+eigenvalues+friction", "accuracy of all signals", "q5", +1, 0.02, "hits", (ALL,), "pp"
    ),
    Metric(
        "lifts.all-eigenvalues",
        "accuracy, all over eigenvalues",
        "q5",
        +1,
        0.02,
        "lift",
        (ALL, "hits/eigenvalues"),
        "pp",
    ),
    Metric(
        "boundaries.gradient", "rank correlation of error and gradient", "q6", +1, 0.02, "mean", ("gradient",)
    ),
    # Without a better direction: what they say is in how they move together with the others.
    Metric("spatial_cv.raw", "spatial CV, uncorrected", "q1", 0, 0.02, "mean", ("raw_cv",)),
    Metric(
        "probes.eigenvalues", "accuracy of eigenvalues", "q4", 0, 0.02, "hits", ("hits/eigenvalues",), "pp"
    ),
    Metric("probes.friction", "accuracy of friction", "q4", 0, 0.02, "hits", ("hits/friction",), "pp"),
    Metric(
        "boundaries.contrast", "rank correlation of error and contrast", "q6", 0, 0.02, "mean", ("contrast",)
    ),
    Metric(
        "boundaries.gradient_given_brightness",
        "the same with gradient, brightness held",
        "q6",
        0,
        0.02,
        "mean",
        ("gradient_given_brightness",),
    ),
)
NAMES = tuple(metric.path for metric in METRICS)
