"""The questions the suite asks, one per line; what each is made of stands in its own folder."""

from .base import (
    Claim,
    Measured,
    Metric,
    Question,
    ask,
    claims,
    metrics,
    question_of,
    questions,
    register,
    requested,
)
from .boundaries import BOUNDARIES
from .classes import CLASSES
from .error import ERROR
from .modes import MODES
from .published import PUBLISHED_QUESTIONS
from .readout import CONDUIT, RELEASE
from .spatial import SPATIAL
from .study import MEASURES_VERSION, Study

for _question in (ERROR, SPATIAL, CLASSES, MODES, RELEASE, CONDUIT, BOUNDARIES, *PUBLISHED_QUESTIONS):
    register(_question)

__all__ = [
    "MEASURES_VERSION",
    "Claim",
    "Measured",
    "Metric",
    "Question",
    "Study",
    "ask",
    "claims",
    "metrics",
    "question_of",
    "questions",
    "register",
    "requested",
]
