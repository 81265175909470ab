"""What the authors of the model line claim of it: a question a claim, asked where a test asks for it.

Each figure stands beside three references: the published value, where the subject is the version it was
published of; the value that random rows give; and networks of the same shape with random weights.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ...stats.estimators import Mean
from ..base import Measured, Metric, Question
from ..study import Study
from . import margins
from .values import digest

ABOUT = "A claim of the public articles, beside what random rows and untrained networks give."


def _metric(name: str, title: str) -> Metric:
    return Metric(f"published_{name}", title, Mean())


def _from_rows(name: str, title: str) -> Metric:
    return _metric(f"{name}_distance", f"distance of {title} from random rows, in margins")


band_distance = _from_rows("band.cv", "the pentachoron CV")
rank_distance = _from_rows("spectrum.rank", "the effective rank")
ratio_distance = _from_rows("spectrum.ratio", "S0 / S_last")
friction_distance = _from_rows("friction.log_friction", "log friction")
gate_moved = _metric("coordination.gate", "relative move of the attention's gate from its initial value")
size_change = _metric("resolution.change", "largest relative change of the error with the image's size")
tile_distance = _metric("tiling.distance", "relative distance of S of tiles from S of the whole")
unseen_ratio = _metric("unseen_noise.ratio", "error on other noise families over that on the trained")
axes_deviation = _metric("codebook.size", "deviation of the codebook's axes from uniform ones, radians")
friction_classes = _metric("friction.classes", "largest distance of a class's log friction from the mean")

TITLES = {
    "band": "Is the band that of random rows?",
    "spectrum": "Is the spectrum that of random rows?",
    "coordination": "Did the attention's gate leave its initial value?",
    "resolution": "Is the error the same at every image size?",
    "tiling": "Is S of tiles that of the whole image?",
    "unseen_noise": "Does the model work on noise it has not seen?",
    "codebook": "Are the codebook's axes uniform?",
    "friction": "Is friction that of random rows, and one for all classes?",
}
CLAIMS = (
    (band_distance < 1, "band_free", "pentachoron CV equals random rows'"),
    (rank_distance < 1, "rank_free", "effective rank equals random rows'"),
    (ratio_distance < 1, "ratio_free", "S0 / S_last equals random rows'"),
    (gate_moved > margins.GATE, "gate_moved", "attention gate is off its initial value"),
    (size_change < margins.CHANGE, "any_size", "error is the same at 32 to 256 pixels"),
    (tile_distance < margins.TILED, "tiles_alike", "S of tiles equals S of the whole"),
    (unseen_ratio < margins.MOST_UNSEEN, "unseen_noise", "error on unseen noise at most 1.4 times as large"),
    (axes_deviation < margins.CODEBOOK, "axes_uniform", "codebook's axes are uniform"),
    (friction_distance < 1, "friction_free", "log friction equals random rows'"),
    (friction_classes < margins.CLASSES, "friction_uniform", "log friction is one for all classes"),
)


def _question(name: str, title: str) -> Question:
    """A question on request; its measure and its table, which run models or draw, are imported when used."""

    def measure(study: Study) -> Measured:
        figures = getattr(import_module(".measure", __name__), name)(study)
        return Measured({f"published_{name}": figures})

    def tables() -> list[Callable[[Any], Any]]:
        return [import_module(".tables", __name__).numbers(name)]

    own = [
        claim.named(*words) for claim, *words in CLAIMS if claim.metric.name.startswith(f"published_{name}.")
    ]
    return Question(
        name.replace("_", "-"),
        title,
        ABOUT,
        measure,
        tuple(claim.metric for claim in own),
        tuple(own),
        tables=tables,
        on_request=True,
        key=(("published", digest()), ("version", 3)),
        heading="Published claims",
    )


PUBLISHED_QUESTIONS = tuple(_question(name, title) for name, title in TITLES.items())
