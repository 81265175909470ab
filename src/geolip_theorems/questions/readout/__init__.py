"""Questions 4 and 5: what do release, eigenvalues and friction tell about the class?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...probes.signals import ALL, LIFTS
from ...stats.estimators import Accuracy
from ..base import Measured, Metric, Question, later, look_up
from ..study import Study


def asked(study: Study) -> Measured:
    """See ``measure.py``; its probes load torch and scikit-learn, which a claim alone does without."""
    from .measure import measure

    return measure(study)


def _metric(name: str, title: str, *reads: str, better: int = 0, script: Any = None) -> Metric:
    shared = {"unit": "pp", "smallest": 0.02, "needs_labels": True}
    return Metric(name, title, Accuracy(), reads, better=better, script=script, **shared)


def _accuracy(probe: str, title: str, better: int = 0) -> Metric:
    return _metric(f"probes.{probe}", title, f"hits/{probe}", better=better)


def _lift(name: str, title: str, in_script: bool = True) -> Metric:
    """Accuracy of one probe over another's; the script's is the difference of test accuracies."""
    a, b = LIFTS[name]

    def script(found: Mapping[str, Any]) -> float | None:
        ends = [look_up(found, f"probes.{probe}.test") for probe in (a, b)]
        return None if None in ends else ends[0] - ends[1]

    reads = (f"hits/{a}", f"hits/{b}")
    return _metric(f"lifts.{name}", title, *reads, better=+1, script=script if in_script else None)


release_over_chance = _metric(
    "lifts.balanced-chance", "balanced accuracy of release over chance", "balanced/release", better=+1
)
release_over_picture = _lift(
    "release-patch_means", "accuracy, release over the patches' means", in_script=False
)
release_over_friction = _lift("release-friction", "accuracy, release over friction")
eigenvalues_accuracy = _accuracy("eigenvalues", "accuracy of eigenvalues")
friction_accuracy = _accuracy("friction", "accuracy of friction")
all_accuracy = _accuracy(ALL, "accuracy of all signals", better=+1)
all_over_eigenvalues = _lift("all-eigenvalues", "accuracy, all over eigenvalues")


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
