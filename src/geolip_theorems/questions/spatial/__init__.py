"""Question 1: does the error of a patch depend on where in the image it is?"""

from __future__ import annotations

from ...stats.estimators import Mean, RootMeanSquare
from ..base import Metric, Question, later, look_up
from .measure import measure

corrected_cv = Metric(
    "spatial_cv.corrected",
    "spatial CV, noise-corrected",
    RootMeanSquare(),
    reads=("squared_cv",),
    better=+1,
    smallest=0.02,
    tested=True,
    script=lambda script: look_up(script, "spatial_cv.mean"),
)
raw_cv = Metric("spatial_cv.raw", "spatial CV, uncorrected", Mean(), reads=("raw_cv",), smallest=0.02)


SPATIAL = Question(
    id="q1",
    title="Does the error vary over patches?",
    about="An error map has one number per patch: the mean squared error of its pixels. If the model lost "
    "the same everywhere the map would be flat but for sampling noise, which the corrected figure takes out.",
    measure=measure,
    metrics=(corrected_cv, raw_cv),
    claims=((corrected_cv > 0.1).named("spatial_cv", "error varies over patches"),),
    figures=later(f"{__name__}.figures", "cv_histogram", "overall_map", "hot_map"),
    tables=later(f"{__name__}.tables", "spatial_numbers", "script_numbers"),
)
