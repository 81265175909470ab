"""What is read of a model's matrices, against the model's own output; and sizes and tiles."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from geolip_theorems.model.architectures import PatchSVAE
from geolip_theorems.questions.published.evidence import model_evidence, shown_to
from geolip_theorems.questions.published.formulas import effective_rank
from geolip_theorems.questions.published.measure import family_ratio, resampled_codebook
from geolip_theorems.questions.published.passes import SIZES, WHITE, family_images, passes_of
from geolip_theorems.questions.published.rows import even_patches, rows_of

SMALL = {"V": 16, "D": 4, "patch_size": 4, "hidden": 24, "depth": 1}


def model(**more):
    torch.manual_seed(0)
    return PatchSVAE(**{**SMALL, "n_cross_layers": 1, **more}).eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.randn(9, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_figures_are_those_of_the_models_output(pictures):
    net = model()
    with torch.inference_mode():
        out = net(pictures)
    svd = {name: value.double().numpy() for name, value in out["svd"].items()}
    rows = rows_of(net, pictures, 0, decoded=True)
    assert (rows.shape, rows.norms, rows.sphere) == ((16, 4), False, True)
    np.testing.assert_allclose(
        rows.image["s_delta"], np.abs(svd["S"] - svd["S_orig"]).mean((1, 2)), rtol=1e-3
    )
    np.testing.assert_allclose(rows.codebook, svd["M"].mean(1), atol=1e-5)
    error = ((out["recon"] - pictures) ** 2).mean((1, 2, 3))
    np.testing.assert_allclose(rows.image["error"], error, rtol=1e-4)
    np.testing.assert_allclose(rows.image["power"], (pictures**2).mean((1, 2, 3)), rtol=1e-6)
    assert rows.patch["cv"].shape == (9, 8, 2)
    ranks = effective_rank(svd["S_orig"])
    assert all(np.isin(rows.patch["rank"][:, :, 0].round(3), ranks.round(3)).ravel())


def test_a_model_without_attention_moves_nothing(pictures):
    rows = rows_of(model(n_cross_layers=0), pictures, 0)
    assert (rows.image["s_delta"] == 0).all()
    assert "error" not in rows.image


def test_rows_off_the_sphere_are_seen(pictures):
    assert not rows_of(model(row_norm="none"), pictures, 0).sphere


def test_a_sphere_solvers_spectrum_is_column_norms(pictures):
    assert rows_of(model(linear_readout=True, svd_mode="none"), pictures, 0).norms


def test_a_model_without_rows_has_none(pictures):
    class Plain(torch.nn.Module):
        patch_size = 4

        def forward(self, x):
            return x

    assert rows_of(Plain(), pictures, 0) is None


def test_patches_that_do_not_see_each_other_are_the_same_at_every_size():
    images = family_images(WHITE, 128, 0, 3)[:2]
    closed, open_ = model(n_cross_layers=0), model()
    with torch.no_grad():
        open_.cross_attn[0].alpha_logits.fill_(9.0)
        torch.nn.init.normal_(open_.cross_attn[0].out_proj.weight, std=3.0)
    sizes = (32, 64, 128)
    alone, seeing = passes_of(closed, images, sizes), passes_of(open_, images, sizes)
    assert alone.tiled.max() < 1e-6 < seeing.tiled.min() / 10
    few = passes_of(open_, images, sizes, 1)
    np.testing.assert_allclose(few.change(128), seeing.change(128)[:1], rtol=1e-3)
    np.testing.assert_allclose(few.change(32), seeing.error[32] / seeing.error[64] - 1, rtol=1e-3)
    # the last layer of the smoothing is zero at first, so borders play no part
    np.testing.assert_allclose(alone.error[32], alone.error[128], rtol=1e-5)
    assert np.abs(seeing.error[32] / seeing.error[128] - 1).max() > 1e-4


def test_tiles_are_put_where_they_were():
    images = family_images(WHITE, 128, 0, 3)[:1]
    net = model(n_cross_layers=0)
    with torch.inference_mode():
        whole = net(images)["svd"]["S"].double()
        shifted = net(images.roll(64, -1))["svd"]["S"].double()
    assert passes_of(net, images, (32, 64, 128)).tiled[0] < 1e-6 < (whole - shifted).abs().mean()


def test_ratio_of_families_and_its_interval():
    rng = np.random.default_rng(0)
    level = np.repeat(rng.uniform(1, 3, 16), 2)
    hits = 0
    for _ in range(400):
        above, below = (level * scale + 0.2 * rng.standard_normal(32) for scale in (1.5, 1.0))
        found = family_ratio(above, below)
        hits += found["ci95"][0] < 1.5 < found["ci95"][1]
    assert found["value"] == above.mean() / below.mean()
    assert 0.91 < hits / 400 < 0.99


def test_an_uncertain_codebook_has_a_wide_interval():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((1, 24, 4))
    firm, loose = (
        resampled_codebook(rows + scale * rng.standard_normal((32, 24, 4)), 0) for scale in (0.01, 5)
    )
    width = [np.ptp(found["deviation"]["ci95"]) for found in (firm, loose)]
    assert width[0] < width[1] / 5


def test_what_every_model_is_shown_fits_its_patches(pictures):
    shown = shown_to(model(), pictures, 0)
    assert (shown.sizes, shown.white.shape[-1], shown.noise.shape[-1]) == (SIZES, 256, 64)
    odd = shown_to(model(patch_size=3), pictures, 0)
    assert (odd.sizes, odd.noise.shape[-1]) == ((), 48)
    one = replace(odd, images=odd.noise[:1])
    assert model_evidence(model(patch_size=3), one, 0, few=6).passes is None


def test_noise_is_in_pairs_of_a_family(pictures):
    shown = shown_to(model(), pictures, 0)
    assert shown.noise.shape == shown.unseen.shape == (32, 3, 64, 64)
    assert not torch.equal(shown.noise, shown.unseen)


@pytest.mark.parametrize("grid", [(16, 16), (4, 4), (8, 32), (2, 2)])
def test_patches_are_spread_over_rows_and_columns(grid):
    height, width = grid
    found = even_patches(grid, 8)
    assert len(found) == min(8, height * width)
    rows, columns = np.divmod(found, width)
    for where, size in ((rows, height), (columns, width)):
        halves = np.bincount(2 * where // size, minlength=2)
        assert abs(halves[0] - halves[1]) <= 2
    assert len(np.unique(columns)) >= min(width, 4)
