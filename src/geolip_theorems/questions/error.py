"""How much does the model lose at all? Every other question is about where and in what."""

from __future__ import annotations

from ..stats.estimators import RelativeMean
from ..stats.grids import raw_mean
from .base import Measured, Metric, Question
from .study import Study

error = Metric("error", "release error", RelativeMean(), reads=("error",), unit="%", better=-1, smallest=0.05)


def measure(study: Study) -> Measured:
    """``error``: mean over images of the mean squared error, and each image's own, (N,) float64."""
    values = raw_mean(study.maps.error)
    return Measured({"error": error.estimator.figure(values, study.units)}, {"error": values})


ERROR = Question(
    id="all",
    title="How much does it lose?",
    about="The release error: the mean squared difference of image and reconstruction.",
    measure=measure,
    metrics=(error,),
)
