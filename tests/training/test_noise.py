"""The noise families: their laws, by SciPy where there is one, and their oddities."""

import numpy as np
import pytest
import torch
from scipy import stats

from geolip_theorems.data.noise import ALL_FAMILIES, FAMILIES, mixed_batch, sample
from geolip_theorems.io.errors import InputError


def draw(family, n=64, size=16, seed=0, channels=3):
    return sample(family, n, size, torch.Generator().manual_seed(seed), channels)


# Two values of each family as models are trained and measured on them: neither may change.
VALUES = {
    "gaussian": (1.92637, -0.40274),
    "uniform": (0.93984, 0.41382),
    "uniform_wide": (1.87968, 0.82763),
    "poisson": (-0.45110, 0.12321),
    "pink": (-1.22259, -1.63680),
    "brown": (-1.22259, -1.63679),
    "salt_pepper": (2.00547, 2.00097),
    "sparse": (0.00000, -0.00000),
    "blocks": (-1.38840, 0.20404),
    "gradient": (2.19983, 1.04502),
    "checkerboard": (-0.76538, -0.40725),
    "mixture": (0.62472, 1.50390),
    "quadrants": (-1.15972, 0.53533),
    "cauchy": (3.00000, 0.76024),
    "exponential": (-0.88354, -0.82542),
    "laplace": (2.81073, 0.53412),
    "pink_dc_free": (1.99361, 0.30337),
    "brown_dc_free": (1.13885, 0.92274),
}


@pytest.mark.parametrize("family", ALL_FAMILIES)
def test_three_channels_keep_their_values(family):
    images = draw(family, n=3, seed=7)
    assert (float(images[0, 0, 1, 2]), float(images[2, 2, 5, 11])) == pytest.approx(VALUES[family], abs=2e-5)


@pytest.mark.parametrize("family", ALL_FAMILIES)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_every_family_is_finite_clamped_and_seeded(family, channels):
    images = draw(family, channels=channels)
    assert images.shape == (64, channels, 16, 16)
    assert images.dtype == torch.float32
    assert torch.isfinite(images).all()
    assert images.abs().max() <= 4.0
    assert torch.equal(images, draw(family, channels=channels))
    assert not torch.equal(images, draw(family, seed=1, channels=channels))


# Marginal laws of the families that have independent values; clamping at 4 is part of the law.
LAWS = {
    "gaussian": stats.norm(),
    "uniform": stats.uniform(-1, 2),
    "uniform_wide": stats.uniform(-2, 4),
    "exponential": stats.expon(-1),
    "laplace": stats.laplace(),
}


@pytest.mark.parametrize("family", LAWS)
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_marginals_follow_their_law(family, channels):
    values = draw(family, n=48, size=32, channels=channels)[:, -1].numpy().ravel()
    inside = values[np.abs(values) < 3.999]
    law = LAWS[family]
    low, high = law.cdf(-3.999), law.cdf(3.999)
    assert stats.kstest(inside, lambda x: (law.cdf(x) - low) / (high - low)).pvalue > 1e-4
    other = LAWS["laplace" if family != "laplace" else "gaussian"]
    assert stats.kstest(inside, other.cdf).pvalue < 1e-6  # the test can tell laws apart


def test_cauchy_is_clamped_at_three():
    values = draw("cauchy", n=16, size=32).numpy().ravel()
    assert np.abs(values).max() == 3.0
    inside = values[np.abs(values) < 3]
    share = stats.cauchy.cdf(3) - stats.cauchy.cdf(-3)
    assert len(inside) / len(values) == pytest.approx(share, abs=0.01)


def test_salt_and_pepper_and_sparse():
    pepper = draw("salt_pepper").abs()
    assert pepper.mean() == pytest.approx(2.0, abs=0.01)
    assert pepper.std() == pytest.approx(0.1, abs=0.01)
    assert (draw("sparse") != 0).float().mean() == pytest.approx(0.1, abs=0.01)


def spectrum_slope(images):
    """Slope of log power against log frequency, over all but the zero frequency."""
    size = images.shape[-1]
    power = (torch.fft.rfft2(images.double()).abs() ** 2).mean((0, 1))
    f = torch.hypot(torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None])
    keep = (f > 0) & (f < 0.5)
    return stats.linregress(f[keep].log().numpy(), power[keep].log().numpy()).slope


@pytest.mark.parametrize(("family", "slope"), [("gaussian", 0), ("pink_dc_free", -2), ("brown_dc_free", -4)])
def test_spectra_fall_as_named(family, slope):
    assert spectrum_slope(draw(family, n=32, size=64)) == pytest.approx(slope, abs=0.35)


@pytest.mark.parametrize("family", ["pink", "brown"])
def test_the_originals_pink_and_brown_are_flat(family):
    inside = draw(family, size=64).flatten(2).std(-1)
    assert inside.median() < 4e-4  # a channel whose mean happens to be small comes out less flat
    assert draw(family + "_dc_free", size=64).flatten(2).std(-1).min() > 0.3


def test_the_pink_quadrant_saturates():
    quadrant = draw("quadrants")[:, :, 8:, :8]
    assert (quadrant.abs() == 4.0).float().mean() > 0.9


def test_blocks_and_checkerboards_are_made_of_cells():
    blocks = draw("blocks", n=200)
    assert (blocks[..., 1:] == blocks[..., :-1]).float().mean() > 0.5
    board = draw("checkerboard", n=200, size=32).mean(1)
    assert board.sign().eq(board[:, :1, :1].sign()).float().mean() == pytest.approx(0.5, abs=0.1)


def test_sixteen_families_carry_the_public_numbers():
    assert len(FAMILIES) == 16
    assert FAMILIES[4:6] == ("pink", "brown")
    assert torch.equal(draw(13), draw("cauchy"))


def test_a_mixed_batch_is_drawn_from_all_families():
    batch = mixed_batch(FAMILIES, 64, 8, torch.Generator().manual_seed(0))
    assert batch.shape == (64, 3, 8, 8)
    assert torch.isfinite(batch).all()


@pytest.mark.parametrize(("family", "size"), [("pinkish", 8), ("pink", 1), (99, 8)])
def test_bad_requests(family, size):
    with pytest.raises(InputError):
        sample(family, 1, size, torch.Generator())
