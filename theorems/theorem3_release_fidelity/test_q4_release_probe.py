"""Question 4: does the map of the release error tell classes apart, and better than friction?

Measure: ``geolip_theorems.measures.probes``. Verdicts: the accuracy of a probe on release maps lies above
that of always naming the commonest class, and above that of the same probe on friction maps.
"""


def test_release_tells_classes_apart(assert_claim):
    assert_claim("release_chance")


def test_release_beats_friction(assert_claim):
    assert_claim("release_friction")
