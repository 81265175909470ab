"""Question 6: where does the model fail; at boundaries?"""

from __future__ import annotations

from ...stats.estimators import Mean
from ..base import Metric, Question, later
from .measure import measure


def _metric(name: str, title: str, better: int = 0) -> Metric:
    return Metric(f"boundaries.{name}", title, Mean(), reads=(name,), better=better, smallest=0.02)


gradient_correlation = _metric("gradient", "rank correlation of error and gradient", better=+1)
contrast_correlation = _metric("contrast", "rank correlation of error and contrast")
gradient_given_brightness = _metric("gradient_given_brightness", "the same with gradient, brightness held")


BOUNDARIES = Question(
    id="q6",
    title="Where does it fail?",
    about="If what is lost are edges, the error follows the gradient of the input. Friction and settle "
    "describe how hard the eigenvalues of a patch were to find.",
    measure=measure,
    metrics=(gradient_correlation, contrast_correlation, gradient_given_brightness),
    claims=((gradient_correlation > 0.1).named("gradient", "errors follow the boundaries of the image"),),
    figures=later(
        f"{__name__}.figures",
        *("region_bars", "correlations", "region_contrasts", "error_by_gradient"),
        *("gallery", "friction_maps", "settle_maps"),
    ),
    tables=later(f"{__name__}.tables", "failure_numbers"),
)
