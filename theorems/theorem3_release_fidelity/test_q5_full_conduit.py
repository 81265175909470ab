"""Question 5: what do release and friction add to the eigenvalues?

Measure: ``geolip_theorems.measures.probes``. Verdict: a probe on release, eigenvalues and friction together
is more accurate than one on the eigenvalues alone.
"""


def test_release_and_friction_add_to_eigenvalues(assert_claim):
    assert_claim("all_eigenvalues")
