"""The codebook: the axes of M's mean rows are spread uniformly.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import axes_deviation


@claim(axes_deviation < 0.05)
def test_axes_are_uniform(verdict):
    verdict.check()
