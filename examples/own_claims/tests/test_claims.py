"""What this model is for: small errors, spread over the image."""

from geolip_theorems import claim, metric
from geolip_theorems import metrics as m


@metric(better=-1, smallest=0.01)
def worst_patch(maps):
    """share of the error in the worst patch"""
    error = maps.error.reshape(len(maps), -1)
    return error.max(1) / error.sum(1)


@claim(m.error < 1e-2)
def test_reconstructs(verdict):
    verdict.check()


@claim(worst_patch < 0.2)
def test_no_patch_dominates(verdict):
    verdict.check()
