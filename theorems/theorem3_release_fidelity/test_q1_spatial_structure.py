"""Question 1: does the error of a patch depend on where in the image it is?

Measure: ``geolip_theorems.measures.spatial``. Verdict: the coefficient of variation over patches of the
release error, freed of what sampling a patch's values adds to it, is above 0.1.
"""


def test_error_varies_over_patches(assert_claim):
    assert_claim("spatial_cv")
