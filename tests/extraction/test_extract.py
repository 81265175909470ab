"""The one pass: what it gives, how often it runs the model, and that the batch does not show."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.color import rgb2yuv
from torch import nn

from geolip_theorems import load_model
from geolip_theorems.conduit import conduit
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.extraction.extract import Extraction, extract
from geolip_theorems.extraction.patch_maps import decodes, gradient_magnitude
from geolip_theorems.extraction.shards import cut
from geolip_theorems.extraction.tiles import TileRunner
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import FastForward, extract_patches, stitch_patches

DATA = Path(__file__).parents[1] / "data"
GRID = (4, 6)  # an odd grid: the images are 16 x 24


@pytest.fixture(scope="module")
def model():
    return load_model(str(DATA / "svae_d4.pt"))[0]


def random_images(n=19, size=(16, 24), seed=0):
    return torch.rand(n, 3, *size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def images():
    return random_images()


@pytest.fixture(scope="module")
def maps(model, images):
    return extract(model, from_arrays(images, np.arange(19) % 3))


def test_every_map_is_there(maps):
    shapes = {name: array.shape for name, array in maps.arrays().items()}
    per_patch, per_mode = (19, *GRID), (19, *GRID, 4)
    assert shapes == {
        **dict.fromkeys(("error", "pixel_var", "input_var", "gradient"), per_patch),
        **dict.fromkeys(("S", "friction", "settle", "error_only", "error_without"), per_mode),
        "error_half": (*per_patch, 2),
        "input_mean": (*per_patch, 3),
        "ablated": (19,),
        "labels": (19,),
    }
    assert maps.patch_pixels == 16


def test_maps_are_those_of_a_plain_loop(model, images, maps):
    """Against NumPy loops over patches of the model's own output, image by image."""
    for i in (0, 7, 18):
        out = model(images[i : i + 1])
        x, y = images[i].numpy().astype(np.float64), out["recon"][0].numpy().astype(np.float64)
        for row in range(GRID[0]):
            for column in range(GRID[1]):
                block = np.s_[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
                squared = (x[block] - y[block]) ** 2
                at = (i, row, column)
                np.testing.assert_allclose(maps.error[at], squared.mean(), rtol=1e-4)
                np.testing.assert_allclose(maps.pixel_var[at], squared.mean(0).var(), rtol=1e-3)
                odd = np.indices((4, 4)).sum(0) % 2
                halves = [squared[:, odd == 0].mean(), squared[:, odd == 1].mean()]
                np.testing.assert_allclose(maps.error_half[at], halves, rtol=1e-3)
                np.testing.assert_allclose(maps.input_var[at], x[block].var(), rtol=1e-4)
                np.testing.assert_allclose(maps.input_mean[at], x[block].mean((1, 2)), rtol=1e-4)


def test_friction_is_the_conduits_of_the_gram_matrix(model, images, maps):
    svd = model(images)["svd"]
    gram = svd["Vt"].mT @ (svd["S"].square().unsqueeze(-1) * svd["Vt"])
    packet = conduit(gram.flatten(0, 1), backend="torch")
    close = np.isclose(maps.friction.reshape(-1, 4), packet.friction.numpy(), rtol=1e-2)
    assert close.mean() > 0.95  # friction is ill-conditioned: a rounding of G moves a few values far
    assert (maps.settle.reshape(-1, 4) == packet.settle.numpy()).mean() > 0.95


def test_ablated_errors_are_those_of_zeroed_modes(model, images, maps):
    svd = model(images[:2])["svd"]
    for k in range(4):
        for name, modes in (("error_only", torch.eye(4)[k]), ("error_without", 1 - torch.eye(4)[k])):
            recon = model.decode(svd, modes, GRID)
            error = (extract_patches(images[:2] - recon, 4) ** 2).mean(-1).reshape(2, *GRID)
            np.testing.assert_allclose(getattr(maps, name)[:2, ..., k], error, rtol=1e-3)


def test_losing_no_mode_costs_nothing(model, images):
    svd = model(images[:1])["svd"]
    again = model.decode(svd, None, GRID)
    torch.testing.assert_close(again, model(images[:1])["recon"])


def test_the_encoder_runs_once_an_image(model, images, monkeypatch):
    seen = []
    encode = FastForward.encode

    def counted(self, batch):
        seen.append(len(batch))
        return encode(self, batch)

    monkeypatch.setattr(FastForward, "encode", counted)
    extract(model, from_arrays(images))
    assert len(seen) == 3  # 19 images in tiles of 8
    assert sum(seen) == 24  # the last tile filled up


def test_the_tile_that_shows_the_layout_is_used(model, images, maps, monkeypatch):
    called, run = [], TileRunner.__call__

    def counted(self, start, stop):
        called.append(start)
        return run(self, start, stop)

    monkeypatch.setattr(TileRunner, "__call__", counted)
    extraction = Extraction(model, from_arrays(images))
    shards = cut(19, 8)
    assert set(extraction.layout().per_image) >= {"error", "friction"}
    found = dict(extraction.run(shards))
    assert called == [0, 8, 16]
    for shard, rows in found.items():
        assert np.array_equal(rows["error"], maps.error[shard.start : shard.stop])
    assert len(dict(extraction.run(shards))) == 3
    assert sorted(called) == [0, 0, 8, 8, 16, 16]  # negative control: it is kept for one run


def test_an_image_does_not_know_its_company(model, images, maps):
    few = extract(model, from_arrays(images[:11]))
    for name, array in few.arrays().items():
        np.testing.assert_array_equal(array, getattr(maps, name)[:11], err_msg=name)


def test_permuting_images_permutes_maps(model, images, maps):
    order = np.random.default_rng(0).permutation(19)
    shuffled = extract(model, from_arrays(images[order]))
    for name in ("error", "S", "input_var", "gradient", "error_without"):
        np.testing.assert_allclose(
            getattr(shuffled, name), getattr(maps, name)[order], rtol=2e-5, err_msg=name
        )


def test_other_images_give_other_maps(model, images, maps):
    other = extract(model, from_arrays(random_images(seed=1)))
    assert not np.allclose(other.error, maps.error, rtol=1e-2)


@pytest.mark.parametrize("ablated", [[], [0, 1], [3, 8, 9, 17], range(19)], ids=len)
def test_ablations_are_of_the_chosen_images(model, images, maps, ablated):
    ablated = np.array(ablated, np.int64)
    found = extract(model, from_arrays(images), ablated=ablated)
    if not len(ablated):
        assert found.ablated is found.error_only is found.error_without is None
        return
    np.testing.assert_array_equal(found.ablated, ablated)
    for name in ("error_only", "error_without"):
        np.testing.assert_allclose(getattr(found, name), getattr(maps, name)[ablated], rtol=1e-4)


def test_a_part_of_the_maps_keeps_its_ablations(model, images):
    found = extract(model, from_arrays(images), ablated=np.array([3, 8, 9, 17]))
    part = found.take(np.array([0, 8, 10, 17]))
    np.testing.assert_array_equal(part.error, found.error[[0, 8, 10, 17]])
    np.testing.assert_array_equal(part.ablated, [1, 3])
    np.testing.assert_array_equal(part.error_only, found.error_only[[1, 3]])
    few = found.take(np.array([0, 8, 10, 17]), np.array([1, 2]))  # of these two only image 8 was ablated
    np.testing.assert_array_equal(few.ablated, [1])
    np.testing.assert_array_equal(few.error_without, found.error_without[[1]])


def test_gradient_of_a_ramp_is_its_slope():
    ramp = torch.arange(12.0).expand(1, 3, 10, 12) * 0.05
    inside = gradient_magnitude(ramp)[0, 0, 1:-1, 1:-1]
    torch.testing.assert_close(inside, torch.full_like(inside, 0.05))
    assert gradient_magnitude(torch.ones(1, 3, 8, 8)).abs().max() < 1e-6


@given(channels=st.integers(1, 6), height=st.integers(3, 12), width=st.integers(3, 12))
@settings(max_examples=30, deadline=None)
def test_the_gradient_is_of_the_luma_or_of_the_mean(channels, height, width):
    images = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(channels))
    values = images.double().numpy()
    mean, luma = values.mean(1), rgb2yuv(values, channel_axis=1)[:, 0] if channels == 3 else None
    wanted = sobel(mean if luma is None else luma)
    np.testing.assert_allclose(gradient_magnitude(images)[:, 0], wanted, atol=1e-6)
    if channels == 3:
        assert np.abs(sobel(mean) - wanted).max() > 1e-3


def sobel(bright):
    """SciPy's magnitude of the gradient, per pixel, (B, H, W) -> (B, H, W)."""
    sides = [[ndimage.sobel(one, axis, mode="nearest") / 8 for one in bright] for axis in (0, 1)]
    return np.hypot(*sides)


@pytest.mark.parametrize("channels", [1, 2, 5])
def test_maps_of_other_channels(channels):
    images = torch.rand(6, channels, 16, 24, generator=torch.Generator().manual_seed(0))
    found = extract(OtherArchitecture(channels=channels), from_arrays(images))
    pixels = images.unfold(2, 4, 4).unfold(3, 4, 4)  # (B, C, gh, gw, 4, 4)
    np.testing.assert_allclose(found.input_mean, pixels.mean((-2, -1)).permute(0, 2, 3, 1), atol=1e-6)
    np.testing.assert_allclose(found.input_var, pixels.var((1, 4, 5), correction=0), atol=1e-6)
    # The two modes that are left out carry all of the error.
    np.testing.assert_allclose(found.error, residual(pixels, channels), atol=1e-5)


def residual(pixels, channels):
    """Mean square of what the two largest of four modes leave, by NumPy; (B, gh, gw)."""
    flat = pixels.permute(0, 2, 3, 1, 4, 5).flatten(3).double().numpy()
    S = np.linalg.svd(flat.reshape(*flat.shape[:3], 4 * channels, 4), compute_uv=False)
    return (S[..., 2:] ** 2).sum(-1) / (16 * channels)


class OtherArchitecture(nn.Module):
    """A model with the interface and nothing else of PatchSVAE: patch matrices of the pixels, rank 2."""

    patch_size = 4

    def __init__(self, keep=2, channels=3):
        super().__init__()
        self.keep = keep
        self.channels = channels

    def forward(self, images):
        matrix = extract_patches(images, 4).unflatten(-1, (4 * self.channels, 4))
        U, S, Vt = torch.linalg.svd(matrix, full_matrices=False)
        S = S * (torch.arange(4) < self.keep)
        grid = images.shape[-2] // 4, images.shape[-1] // 4
        recon = stitch_patches(((U * S.unsqueeze(-2)) @ Vt).flatten(-2), grid, 4)
        return {"recon": recon, "svd": {"U": U, "S": S, "Vt": Vt}}


def test_other_architectures_are_measured_without_ablation(images):
    found = extract(OtherArchitecture(), from_arrays(images))
    assert found.error_only is None
    assert found.S.shape == (19, *GRID, 4)
    assert (found.error > 0).all()


class WithDecoder(OtherArchitecture):
    """The same with a decoder that can be run apart, as the original package's models have."""

    honest = True

    def decode_patches(self, U, S, Vt):
        recon = ((U * S.unsqueeze(-2)) @ Vt).flatten(-2)
        return recon if self.honest else recon + 0.1


def test_a_decoder_is_taken_only_if_it_is_the_models(images):
    assert decodes(WithDecoder(), images[:1])
    impostor = WithDecoder()
    impostor.honest = False
    assert not decodes(impostor, images[:1])
    found = extract(WithDecoder(keep=4), from_arrays(images))
    # Losing mode k of an exact SVD costs its energy, spread over the patch's 48 values.
    np.testing.assert_allclose(found.error_without, found.S**2 / 48, rtol=1e-2, atol=1e-7)


def broken(kind):
    def forward(images):
        out = OtherArchitecture()(images)
        if kind == "nan":
            out["recon"][-1] = torch.nan
        elif kind == "shape":
            out["recon"] = out["recon"][:, :, :-4]
        elif kind == "patches":
            out["svd"]["S"] = out["svd"]["S"][:, :-1]
        return out

    return forward


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("nan", "recon is not finite for image 7"),
        ("shape", "recon has shape"),
        ("patches", r"svd\['S'\] has shape"),
    ],
)
def test_unusable_outputs_are_named(images, kind, says):
    model = OtherArchitecture()
    model.forward = broken(kind)
    with pytest.raises(InputError, match=says):
        extract(model, from_arrays(images), ablated=np.arange(0))


def test_models_without_patches_are_refused(images):
    with pytest.raises(InputError, match="no patch_size"):
        extract(SimpleNamespace(), from_arrays(images))
