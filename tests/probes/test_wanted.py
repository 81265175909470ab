"""Probes that nobody asks for are not fitted, and the others are as they would be."""

from __future__ import annotations

import numpy as np

from geolip_theorems.probes.signals import ALL, PARTS
from geolip_theorems.questions import Study
from geolip_theorems.questions.readout.measure import measure

from ..questions.test_readout import signal_maps


def test_what_feeds_no_wanted_array_is_left_out_and_the_rest_is_as_it_was():
    maps = signal_maps(90)
    whole = measure(Study(maps))
    arrays = frozenset({"balanced/release", f"hits/{ALL}", "hits/patch_means"})
    part = measure(Study(maps, arrays=arrays))
    made = {f"hits/{name}" for name in (*PARTS, ALL, "patch_means")} | {"balanced/release"}
    assert set(part.values) == made < set(whole.values)
    for name, array in part.values.items():
        np.testing.assert_array_equal(array, whole.values[name])
    kept = ("value", "ci95", "n", "method")
    for name in ("balanced-chance", "all-eigenvalues", "release-patch_means"):
        assert [part.figures["lifts"][name][k] for k in kept] == [
            whole.figures["lifts"][name][k] for k in kept
        ]
    assert "release+friction-friction" not in part.figures["lifts"]
    assert measure(Study(maps, arrays=frozenset({"error"}))).figures == {"probes": None, "lifts": None}
