"""Resolution: the same pixels are decoded alike, however large the image they stand in.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import size_change


@claim(size_change < 0.05)
def test_error_is_the_same_at_every_size(verdict):
    verdict.check()
