"""The spectrum: effective rank and S0 / S_last are those of random rows.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import rank_distance, ratio_distance


@claim(rank_distance < 1)
def test_effective_rank_is_that_of_random_rows(verdict):
    verdict.check()


@claim(ratio_distance < 1)
def test_spread_of_s_is_that_of_random_rows(verdict):
    verdict.check()
