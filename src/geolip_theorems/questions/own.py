"""Metrics made of a function by :func:`geolip_theorems.metric`; together they are a question of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..io.errors import InputError, reason
from ..stats.estimators import Mean
from .base import Measured, Metric, Question, questions, register
from .study import Study

OWN = "own"


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnMetric(Metric):
    """A metric and the function from maps to (N,) numbers that it is the mean of."""

    function: Callable[[Any], Any]

    def numbers(self, study: Study) -> np.ndarray:
        """(N,) float64, one number per image, NaN where it has none.

        Raises:
            InputError: the function raises, or gives anything else.
        """
        try:
            found = np.asarray(self.function(study.maps), np.float64)
        except Exception as error:  # it may raise anything: it is not ours
            why = f"{type(error).__name__}: {reason(error)}"
            raise InputError(f"metric {self.name!r} cannot be computed: {why}") from error
        right = (len(study),)
        if found.shape != right or np.isinf(found).any():
            what = "infinite numbers" if found.shape == right else f"shape {found.shape}"
            wanted = f"one finite number (or NaN) per image, shape {right}"
            raise InputError(f"metric {self.name!r} gave {what}; expected {wanted}")
        return found


def measure(study: Study) -> Measured:
    """``own``: the mean of every metric of one's own, and each image's number, (N,) float64."""
    values = {metric.reads[0]: metric.numbers(study) for metric in _own()}
    figures = {
        metric.function.__name__: metric.estimator.figure(values[metric.reads[0]], study.units)
        for metric in _own()
    }
    return Measured({OWN: figures}, values)


def own_metric(function: Callable[[Any], Any], better: int, smallest: float) -> Metric:
    """The metric of a function, measured in every run from now on; one of the same name is replaced."""
    name = f"{OWN}.{function.__name__}"
    title = ((function.__doc__ or "").strip().splitlines() or [function.__name__.replace("_", " ")])[0]
    kept = (f"{OWN}/{function.__name__}",)
    made = OwnMetric(name, title, Mean(), kept, better=better, smallest=smallest, function=function)
    others = tuple(metric for metric in _own() if metric.name != name)
    register(replace(QUESTION, metrics=(*others, made)))
    return made


def _own() -> tuple[OwnMetric, ...]:
    return next((question.metrics for question in questions() if question.id == OWN), ())


# Not cached: what a function of somebody else's computes may change from run to run.
QUESTION = Question(OWN, "What else was asked?", "Figures of this project's own.", measure, cached=False)
