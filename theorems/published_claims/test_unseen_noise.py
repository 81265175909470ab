"""Unseen noise: the error on sixteen other families is at most 1.4 times that on the trained ones.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import unseen_ratio


@claim(unseen_ratio < 1.4)
def test_unseen_noise_is_decoded_as_well(verdict):
    verdict.check()
