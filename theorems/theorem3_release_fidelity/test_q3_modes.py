"""Question 3: which singular modes matter for which patches?

The figure is the share of patches in which the mode that is costliest to lose, through the real decoder, is
not the one that is costliest overall; shuffled labels may go with the modes as well as the true ones less
than once in a hundred times. Measure: ``geolip_theorems.questions.modes``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.modes import other_mode_share


@claim(other_mode_share > 0.05)
def test_leading_mode_varies_over_patches(verdict):
    verdict.check()
