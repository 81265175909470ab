"""Questions 4 and 5: what do release, eigenvalues and friction tell about the class?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...probes.signals import ALL
from ...stats.estimators import Accuracy
from ..base import Measured, Metric, Question, later, look_up
from ..study import Study


def asked(study: Study) -> Measured:
    """See ``measure.py``; its probes load torch and scikit-learn, which a claim alone does without."""
    from .measure import measure

    return measure(study)


def _tested(script: Mapping[str, Any], probe: str) -> float | None:
    """The script's test accuracy of a probe; names of probes hold no dot."""
    return look_up(script.get("probes"), f"{probe}.test")


def _lift(a: str, b: str) -> Callable[[Mapping[str, Any]], float | None]:
    """The script's difference of two probes' test accuracies."""

    def difference(script: Mapping[str, Any]) -> float | None:
        ends = _tested(script, a), _tested(script, b)
        return None if None in ends else ends[0] - ends[1]

    return difference


def _metric(name: str, title: str, *probes: str, better: int = 0, script: Any = None) -> Metric:
    reads = tuple(f"hits/{probe}" for probe in probes)
    shared = {"unit": "pp", "smallest": 0.02, "needs_labels": True}
    return Metric(name, title, Accuracy(), reads, better=better, script=script, **shared)


release_over_chance = Metric(
    "lifts.balanced-chance",
    "balanced accuracy of release over chance",
    Accuracy(),
    ("balanced/release",),
    unit="pp",
    better=+1,
    smallest=0.02,
    needs_labels=True,
)
release_over_picture = _metric(
    "lifts.release-patch_means",
    "accuracy, release over the patches' means",
    "release",
    "patch_means",
    better=+1,
)
release_over_friction = _metric(
    "lifts.release-friction",
    "accuracy, release over friction",
    "release",
    "friction",
    better=+1,
    script=_lift("release", "friction"),
)
eigenvalues_accuracy = _metric("probes.eigenvalues", "accuracy of eigenvalues", "eigenvalues")
friction_accuracy = _metric("probes.friction", "accuracy of friction", "friction")
all_accuracy = _metric(f"probes.{ALL}", "accuracy of all signals", ALL, better=+1)
all_over_eigenvalues = _metric(
    "lifts.all-eigenvalues",
    "accuracy, all over eigenvalues",
    ALL,
    "eigenvalues",
    better=+1,
    script=_lift(ALL, "eigenvalues"),
)


RELEASE = Question(
    id="q4",
    title="What do the maps tell about the class?",
    about="Probes are trained on the maps to name the class of an image they have not seen.",
    measure=asked,
    metrics=(
        release_over_chance,
        release_over_picture,
        release_over_friction,
        eigenvalues_accuracy,
        friction_accuracy,
    ),
    claims=(
        (release_over_chance > 0).named("release_chance", "release maps tell classes apart"),
        (release_over_picture > 0).named(
            "release_picture", "release tells more of the class than the shrunk picture"
        ),
        (release_over_friction > 0).named("release_friction", "release classifies better than friction"),
    ),
    figures=later(f"{__name__}.figures", "accuracies", "by_class", "confusions"),
    tables=later(f"{__name__}.tables", "probe_numbers"),
)
CONDUIT = Question(
    id="q5",
    title="What do release and friction add to the eigenvalues?",
    about="A lift is what one set of features adds to another, on the same images: the difference of the "
    "accuracies of two probes of question 4.",
    metrics=(all_accuracy, all_over_eigenvalues),
    claims=((all_over_eigenvalues > 0).named("all_eigenvalues", "release and friction add to eigenvalues"),),
    figures=later(f"{__name__}.figures", "lifts"),
    tables=later(f"{__name__}.tables", "lift_numbers"),
)
