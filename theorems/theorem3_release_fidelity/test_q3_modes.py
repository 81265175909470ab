"""Question 3: which singular modes matter for which patches?

Measure: ``geolip_theorems.measures.modes``. Verdict: in more than 5 % of patches the mode that is
costliest to lose, through the real decoder, is not the one that is costliest overall, and shuffled labels
go with the modes as well as the true ones less than once in a hundred times.
"""


def test_leading_mode_varies_over_patches(assert_claim):
    assert_claim("mode_share")
