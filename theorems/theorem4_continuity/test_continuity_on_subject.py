"""Theorem 4 on the subject's own Gram matrices."""

from __future__ import annotations

import numpy as np
import torch

from geolip_theorems.conduit.laws import branch_signature, davis_kahan_excess, friction_change, weyl_excess
from geolip_theorems.plugin.grams import perturbation

ROUNDING = 2e-6


def test_static_outputs_obey_their_bounds_on_the_subject(subject_grams, record_property):
    A = torch.from_numpy(subject_grams[:4000])
    E = perturbation(A, 1e-3)
    assert weyl_excess(A, E).max() <= ROUNDING
    excess, gap = davis_kahan_excess(A, E)
    assert (excess * gap).max() <= ROUNDING
    same = (branch_signature(A) == branch_signature(A + E)).all(1)
    change = friction_change(A, A + E)
    record_property("share_on_one_branch", float(same.mean()))
    for name, rows in (("on_one_branch", same), ("between_branches", ~same)):
        record_property(f"change_{name}", float(np.quantile(change[rows], 0.9)) if rows.any() else None)
