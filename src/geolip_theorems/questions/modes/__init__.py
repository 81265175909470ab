"""Question 3: which singular modes matter for which patches?"""

from __future__ import annotations

from ...stats.estimators import Share
from ..base import Metric, Question, later
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
    figures=later(f"{__name__}.figures", "energy_stacks", "ablation_curves", "dominant_map", "cost_maps"),
    tables=later(f"{__name__}.tables", "mode_numbers", "class_energies"),
)
