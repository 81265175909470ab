"""Coordination: the gate of the attention over S has moved from where training began.

Measure and margin: ``geolip_theorems.questions.published``, ``docs/published_claims.md``.
"""

from geolip_theorems import claim
from geolip_theorems.questions.published import gate_moved


@claim(gate_moved > 0.1)
def test_gate_is_off_its_initial_value(verdict):
    verdict.check()
