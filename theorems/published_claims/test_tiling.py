"""Tiling: S of tiles that are encoded apart is that of the whole image.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import tile_distance


@claim(tile_distance < 0.001)
def test_tiles_give_the_whole(verdict):
    verdict.check()
