"""Question 2: do classes differ in where the model fails?"""

from __future__ import annotations

from ..base import Metric, Question, later, look_up
from .estimator import HeldOutCosine
from .measure import measure

class_cosine = Metric(
    "class_cosine.min",
    "cosine of the most distant classes",
    HeldOutCosine(),
    reads=("error_map", "error_map_scale"),
    better=-1,
    smallest=0.01,
    tested=True,
    needs_labels=True,
    script=lambda script: look_up(script, "class_cosine.min"),
)


CLASSES = Question(
    id="q2",
    title="Do the errors of classes lie in different places?",
    about="Each class's error maps are averaged. Two classes that fail in the same places have maps in the "
    "same direction, a cosine of 1, whatever the size of their errors.",
    measure=measure,
    metrics=(class_cosine,),
    claims=((class_cosine < 0.99).named("class_cosine", "the errors of classes lie in different places"),),
    figures=later(f"{__name__}.figures", "class_maps", "cosine_matrix", "class_errors", "class_cosines"),
    tables=later(f"{__name__}.tables", "class_numbers"),
)
