"""Question 5: what do release and friction add to the eigenvalues?

The figure is the accuracy of a probe on release, eigenvalues and friction together less that of one on the
eigenvalues alone. Measure: ``geolip_theorems.questions.readout``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.readout import all_over_eigenvalues


@claim(all_over_eigenvalues > 0)
def test_release_and_friction_add_to_eigenvalues(verdict):
    verdict.check()
