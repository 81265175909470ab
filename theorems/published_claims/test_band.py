"""The band: the volumes of random five-row simplices of a patch's M vary as those of random rows do.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import band_distance


@claim(band_distance < 1)
def test_band_is_that_of_random_rows(verdict):
    verdict.check()
