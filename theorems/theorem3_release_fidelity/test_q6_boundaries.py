"""Question 6: where does the model fail; at boundaries?

Measure: ``geolip_theorems.measures.boundaries``. Verdict: over the patches of an image the release error
correlates with the magnitude of the input's gradient, by more than 0.1 on average.
"""


def test_error_is_highest_at_boundaries(assert_claim):
    assert_claim("gradient")
