"""What the authors of the model line claim of it: a question a claim, asked where a test asks for it.

Each figure stands beside three references: the published value, where the subject is the version it was
published of; the value that random rows give; and networks of the same shape with random weights.
"""

from collections.abc import Callable
from importlib import import_module

from ...stats.estimators import Mean
from ..base import Measured, Metric, Question, later
from ..study import Study
from . import margins
from .values import digest

OUR = Mean()


def _metric(name: str, title: str) -> Metric:
    return Metric(f"published_{name}", title, OUR)


band_distance = _metric("band.distance", "distance of the pentachoron CV from random rows, in margins")
rank_distance = _metric(
    "spectrum.rank_distance", "distance of the effective rank from random rows, in margins"
)
ratio_distance = _metric("spectrum.ratio_distance", "distance of S0 / S_last from random rows, in margins")
gate_moved = _metric("coordination.gate", "relative move of the attention's gate from its initial value")
size_change = _metric("resolution.change", "largest relative change of the error with the image's size")
tile_distance = _metric("tiling.distance", "relative distance of S of tiles from S of the whole")
unseen_ratio = _metric("unseen_noise.ratio", "error on other noise families over that on the trained")
axes_deviation = _metric("codebook.size", "deviation of the codebook's axes from uniform ones, radians")
friction_distance = _metric("friction.distance", "distance of log friction from random rows, in margins")
friction_classes = _metric("friction.classes", "largest distance of a class's log friction from the mean")


def _measure(name: str) -> Callable[[Study], Measured]:
    """The measure of that name; its module, which runs models, is imported when it is used."""
    return lambda study: getattr(import_module(".measure", __name__), name)(study)


_TITLES = {
    "band": "Is the band that of random rows?",
    "spectrum": "Is the spectrum that of random rows?",
    "coordination": "Did the attention's gate leave its initial value?",
    "resolution": "Is the error the same at every image size?",
    "tiling": "Is S of tiles that of the whole image?",
    "unseen_noise": "Does the model work on noise it has not seen?",
    "codebook": "Are the codebook's axes uniform?",
    "friction": "Is friction that of random rows, and one for all classes?",
}
_CLAIMS = {
    "band": ((band_distance < 1).named("band_free", "pentachoron CV equals random rows'"),),
    "spectrum": (
        (rank_distance < 1).named("rank_free", "effective rank equals random rows'"),
        (ratio_distance < 1).named("ratio_free", "S0 / S_last equals random rows'"),
    ),
    "coordination": (
        (gate_moved > margins.GATE).named("gate_moved", "attention gate is off its initial value"),
    ),
    "resolution": (
        (size_change < margins.CHANGE).named("any_size", "error is the same at 32 to 256 pixels"),
    ),
    "tiling": ((tile_distance < margins.TILED).named("tiles_alike", "S of tiles equals S of the whole"),),
    "unseen_noise": (
        (unseen_ratio < margins.MOST_UNSEEN).named(
            "unseen_noise", "error on unseen noise at most 1.4 times as large"
        ),
    ),
    "codebook": ((axes_deviation < margins.CODEBOOK).named("axes_uniform", "codebook's axes are uniform"),),
    "friction": (
        (friction_distance < 1).named("friction_free", "log friction equals random rows'"),
        (friction_classes < margins.CLASSES).named("friction_uniform", "log friction is one for all classes"),
    ),
}

PUBLISHED_QUESTIONS = tuple(
    Question(
        name.replace("_", "-"),
        title,
        "A claim of the public articles, beside what random rows and untrained networks give.",
        _measure(name),
        tuple(claim.metric for claim in _CLAIMS[name]),
        _CLAIMS[name],
        tables=later(f"{__name__}.tables", f"{name}_numbers"),
        on_request=True,
        key=(("published", digest()), ("version", 1)),
    )
    for name, title in _TITLES.items()
)
