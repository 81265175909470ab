"""Question 4: does the map of the release error tell classes apart, and better than friction?

The figures are the accuracy of a probe on release maps less that of always naming the commonest class, and
less that of the same probe on friction maps. Measure: ``geolip_theorems.questions.readout``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.readout import release_over_chance, release_over_friction


@claim(release_over_chance > 0)
def test_release_tells_classes_apart(verdict):
    verdict.check()


@claim(release_over_friction > 0)
def test_release_beats_friction(verdict):
    verdict.check()
