"""Friction: that of random rows, and one for all classes.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import friction_classes, friction_distance


@claim(friction_distance < 1)
def test_friction_is_that_of_random_rows(verdict):
    verdict.check()


@claim(friction_classes < 0.05)
def test_friction_is_one_for_all_classes(verdict):
    verdict.check()
