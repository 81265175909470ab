"""A metric of one's own: a function of the maps, and a claim on it."""

from geolip_theorems import claim, metric


@metric(better=-1, smallest=0.01)
def worst_patch(maps):
    """share of the error in the worst patch"""
    error = maps.error.reshape(len(maps), -1)
    return error.max(1) / error.sum(1)


@claim(worst_patch < 0.02)
def test_no_patch_dominates(verdict):
    verdict.check()
