"""Question 4: does the map of the release error tell classes apart, better than friction or the picture?

The figures are the balanced accuracy of a probe on release maps less one over the number of classes, and the
accuracy of that probe less that of the same probe on friction maps, and on the mean colours of the patches:
the picture shrunk to one pixel per patch. Measure: ``geolip_theorems.questions.readout``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.readout import release_over_chance, release_over_friction, release_over_picture


@claim(release_over_chance > 0)
def test_release_tells_classes_apart(verdict):
    verdict.check()


@claim(release_over_picture > 0)
def test_release_beats_the_shrunk_picture(verdict):
    verdict.check()


@claim(release_over_friction > 0)
def test_release_beats_friction(verdict):
    verdict.check()
