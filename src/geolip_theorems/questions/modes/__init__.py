"""Question 3: which singular modes matter for which patches?"""

from __future__ import annotations

from collections.abc import Sequence

from ...stats.estimators import Share
from ..base import Metric, Question
from .measure import measure

other_mode_share = Metric(
    "modes.share",
    "share of patches with another costliest mode",
    Share(),
    reads=("other_mode",),
    rows="ablated",
    better=+1,
    smallest=0.05,
    tested=True,
)


def drawn() -> Sequence:
    """The report's figures and tables."""
    from . import figures

    return (
        figures.energy_stacks,
        figures.ablation_curves,
        figures.dominant_map,
        figures.cost_maps,
        figures.mode_numbers,
    )


MODES = Question(
    id="q3",
    title="Which modes matter where?",
    about="A patch is coded by the singular values of a small matrix, its modes. A mode matters as much as "
    "the error grows when the model's own decoder has to do without it.",
    measure=measure,
    metrics=(other_mode_share,),
    claims=(
        (other_mode_share > 0.05).named("mode_share", "which mode matters varies over patches and classes"),
    ),
    figures=drawn,
)
