"""Sixteen families that are none of the trained ones, in the same range."""

import pytest
import torch

from geolip_theorems.data.noise import ALL_FAMILIES, LIMIT, UNSEEN_FAMILIES, sample
from geolip_theorems.io.errors import InputError


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("family", UNSEEN_FAMILIES)
def test_families_are_standardised_and_seeded(family):
    images = sample(family, 20, 64, generator(), channels=2)
    assert images.shape == (20, 2, 64, 64)
    assert images.abs().max() <= LIMIT
    assert torch.equal(images, sample(family, 20, 64, generator(), channels=2))
    assert not torch.equal(images, sample(family, 20, 64, generator(1), channels=2))
    assert abs(float(images.mean())) < 0.1
    assert 0.85 < float(images.std()) < 1.1


def test_there_are_sixteen_and_none_is_a_trained_one():
    assert len(UNSEEN_FAMILIES) == 16
    assert not {*UNSEEN_FAMILIES} & {*ALL_FAMILIES}


def test_spatial_families_are_what_they_are_called():
    def neighbours(family, dim):
        x = sample(family, 20, 64, generator())
        a, b = x.narrow(dim, 0, 63), x.narrow(dim, 1, 63)
        return float((a * b).mean() / (x * x).mean())

    assert neighbours("rows", 3) > 0.6 > abs(neighbours("rows", 2)) * 5
    assert neighbours("columns", 2) > 0.6 > abs(neighbours("columns", 3)) * 5
    assert neighbours("smooth", 3) > 0.8
    assert neighbours("violet", 3) < neighbours("blue", 3) < -0.05
    assert abs(neighbours("gamma", 3)) < 0.02


def test_an_unknown_family():
    with pytest.raises(InputError, match="unknown noise family 'viollet'; did you mean 'violet'"):
        sample("viollet", 1, 8, generator())
