"""Question 6: where does the model fail; at boundaries?

The figure is the rank correlation, over the patches of an image, of the release error with the magnitude of
the input's gradient, averaged over images. Measure: ``geolip_theorems.questions.boundaries``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.boundaries import gradient_correlation


@claim(gradient_correlation > 0.1)
def test_error_is_highest_at_boundaries(verdict):
    verdict.check()
