"""Question 7, all of it in one file: does a model's error gather in few patches?"""

from __future__ import annotations

import numpy as np

from geolip_theorems import claim
from geolip_theorems.drawing.blocks import figure_table
from geolip_theorems.drawing.charts import Dot, dot_plot
from geolip_theorems.drawing.figures import figure
from geolip_theorems.questions import Measured, Metric, Question, register
from geolip_theorems.stats.estimators import Share

worst_tenth = Metric(
    "concentration.worst_tenth",
    "share of the error in the worst tenth of the patches",
    Share(),
    reads=("worst_tenth",),
    better=+1,
    smallest=0.02,
)


def measure(study):
    """The share of an image's error that its worst tenth of patches holds."""
    error = np.sort(np.asarray(study.maps.error, np.float64).reshape(len(study), -1), axis=1)
    share = error[:, -round(error.shape[1] / 10) :].sum(1) / error.sum(1)
    found = worst_tenth.estimator.figure(share, study.units)
    return Measured({"concentration": {"worst_tenth": found}}, {"worst_tenth": share})


@figure("Where the error gathers", "q7", needs={"found": "calibrated.concentration.worst_tenth"})
def shares(shown, found):
    """The figure of the report."""
    drawn = dot_plot([Dot("", found["value"], found["ci95"])], unit="share of the error", line=0.1)
    return drawn, "Share of the error in the worst patches", f"n = {shown.images} images."


def numbers(shown):
    """The table of the report and of the terminal."""
    found = shown.get("calibrated.concentration.worst_tenth")
    return figure_table("Numbers of question 7", {"worst tenth": found})


CONCENTRATION = register(
    Question(
        id="q7",
        title="Does the error gather in few patches?",
        about="If the error were spread evenly, a tenth of the patches would hold a tenth of it.",
        measure=measure,
        metrics=(worst_tenth,),
        claims=((worst_tenth > 0.12).named("concentration", "the error gathers in few patches"),),
        figures=lambda: (shares,),
        tables=lambda: (numbers,),
    )
)


@claim(worst_tenth > 0.12)
def test_the_error_gathers_in_few_patches(verdict):
    verdict.check()
