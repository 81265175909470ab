"""Question 7, all of it in one file: does a model's error gather in few patches?"""

from __future__ import annotations

import numpy as np

from geolip_theorems import claim
from geolip_theorems.drawing.blocks import Figure, ends, table
from geolip_theorems.drawing.charts import Dot, dot_plot
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
    figure = worst_tenth.estimator.figure(share, study.units, seed=study.seed)
    return Measured({"concentration": {"worst_tenth": figure}}, {"worst_tenth": share})


def shares(shown):
    """The figure of the report."""
    found, alt = shown.get("calibrated.concentration.worst_tenth"), "Share of the error in the worst patches"
    rows = [Dot("worst tenth", found["value"], found["ci95"])]
    picture = dot_plot(rows, key=shown.key("q7"), alt=alt, unit="share of the error", line=0.1)
    return Figure("Where the error gathers", picture, alt, f"n = {shown.images} images.")


def numbers(shown):
    """The table of the report."""
    found = shown.get("calibrated.concentration.worst_tenth")
    row = ["worst tenth", found["value"], ends(found["ci95"]), found["n"]]
    return table("Numbers of question 7", ("figure", "value", "95 % interval", "images"), [row])


CONCENTRATION = register(
    Question(
        id="q7",
        title="Does the error gather in few patches?",
        about="If the error were spread evenly, a tenth of the patches would hold a tenth of it.",
        measure=measure,
        metrics=(worst_tenth,),
        claims=((worst_tenth > 0.12).named("concentration", "the error gathers in few patches"),),
        figures=lambda: (shares, numbers),
    )
)


@claim(worst_tenth > 0.12)
def test_the_error_gathers_in_few_patches(verdict):
    verdict.check()
