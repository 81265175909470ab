"""Question 1: does the error of a patch depend on where in the image it is?

The figure is the coefficient of variation over patches of the release error, freed of what sampling a
patch's values adds to it. Measure: ``geolip_theorems.questions.spatial``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.spatial import corrected_cv


@claim(corrected_cv > 0.1)
def test_error_varies_over_patches(verdict):
    verdict.check()
