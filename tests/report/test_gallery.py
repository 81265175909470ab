"""What the report draws: which images, how they are shown, and the maps' means."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from geolip_theorems import load_model
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.transforms import parse_normalize
from geolip_theorems.drawing.shown import Shown
from geolip_theorems.extraction.extract import extract
from geolip_theorems.model.architectures import extract_patches
from geolip_theorems.questions.boundaries import figures as failures
from geolip_theorems.run import gallery
from geolip_theorems.run.gallery import chosen_images, gallery_arrays, normalisation, picture_arrays
from geolip_theorems.run.subject import RunOptions, live_subject

GOLDEN = Path(__file__).parents[1] / "data" / "svae_d4.pt"
PIXELS = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), np.uint8)


def made(images, **options):
    model, _ = load_model(str(GOLDEN))
    subject = live_subject(model, images, RunOptions(**options), "tiny")
    maps = extract(model, images, ablated=np.arange(4))
    return subject, maps, gallery_arrays(subject, maps)


@pytest.fixture(scope="module")
def plain():
    return made(from_arrays(PIXELS, np.arange(24) % 3))


def test_the_shown_are_best_median_and_worst(plain):
    _, maps, found = plain
    mse = maps.error.mean((1, 2))
    order = np.argsort(mse)
    assert found["gallery/index"].tolist() == order[[0, 1, 11, 12, 22, 23]].tolist()
    assert found["gallery/kind"].tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(found["gallery/mse"], mse[found["gallery/index"]], rtol=1e-6)


def test_errors_without_a_model_are_those_of_the_mean_and_of_nothing(plain, monkeypatch):
    subject, maps, _ = plain
    ablated = PIXELS[:4] / 255.0
    monkeypatch.setattr(gallery, "READ_AT_ONCE", 3)
    found = gallery_arrays(subject, maps)
    assert float(found["picture/mean_image"]) == pytest.approx(ablated.var(0).mean(), rel=1e-5)
    assert float(found["picture/no_output"]) == pytest.approx((ablated**2).mean(), rel=1e-5)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 100])
def test_no_image_is_shown_twice(n):
    index, kind = chosen_images(np.arange(n)[::-1].astype(float))
    assert len(index) == len(set(index.tolist())) == min(n, 6)
    assert (np.diff(kind.astype(int)) >= 0).all()
    assert index[0] == n - 1


def test_shown_images_are_the_images(plain):
    subject, _, found = plain
    index = found["gallery/index"]
    np.testing.assert_array_equal(found["gallery/input"], PIXELS[index])
    with torch.inference_mode():
        recon = subject.model.model(subject.images.tensor()[index])["recon"]
    wanted = recon.clamp(0, 1).mul(255).round().permute(0, 2, 3, 1).numpy()
    assert np.abs(found["gallery/recon"].astype(int) - wanted).max() <= 1
    assert int(found["gallery/stretched"]) == 0


def test_normalisation_is_undone(plain):
    images = from_arrays(PIXELS, normalize=parse_normalize("imagenet"))
    _, _, found = made(images)
    np.testing.assert_array_equal(found["gallery/input"], PIXELS[found["gallery/index"]])
    assert found["gallery/label"].tolist() == [-1] * 6
    mean, std = normalisation(images.preprocessing)
    assert mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
    assert std.flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])


def test_what_leaves_the_range_is_mapped_to_it_and_said():
    images = from_arrays(torch.randn(7, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 3)
    _, _, found = made(images)
    assert int(found["gallery/stretched"]) == 1
    assert found["gallery/input"].min() == 0
    assert found["gallery/input"].max() == 255


class Halves(nn.Module):
    """A model of any number of channels that gives half of what it sees."""

    patch_size = 4

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, images):
        patches = extract_patches(images, 4).unflatten(-1, (4 * self.channels, 4))
        U, S, Vt = torch.linalg.svd(patches, full_matrices=False)
        return {"recon": images / 2, "svd": {"U": U, "S": S, "Vt": Vt}}


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("normalize", ["none", "0.4/0.25"])
def test_other_channels_are_shown_as_their_mean_in_grey(channels, normalize):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 16, 16, channels), np.uint8)
    images = from_arrays(pixels, normalize=parse_normalize(normalize, channels))
    model = Halves(channels)
    subject = live_subject(model, images, RunOptions(), "halves")
    found = gallery_arrays(subject, extract(model, images))
    assert int(found["gallery/channels"]) == channels
    shown = found["gallery/input"].astype(int)
    assert shown.shape == (6, 16, 16, 3)
    assert (shown == shown[..., :1]).all()
    wanted = pixels[found["gallery/index"]].mean(-1)
    assert np.abs(shown[..., 0] - wanted).max() <= 0.51
    if channels > 1:  # one channel alone is another picture
        assert np.abs(shown[..., 0] - pixels[found["gallery/index"]][..., 0]).max() > 10
    if normalize == "none":
        assert np.abs(found["gallery/recon"][..., 0] - wanted / 2).max() <= 0.51


def test_three_channels_are_shown_in_colour(plain):
    _, _, found = plain
    assert "gallery/channels" not in found
    assert np.ptp(found["gallery/input"], axis=-1).max() > 100


def test_large_images_are_thinned_out(plain, monkeypatch):
    subject, maps, found = plain
    monkeypatch.setattr(gallery, "LONGEST_SIDE", 7)
    small = gallery_arrays(subject, maps)["gallery/input"]
    np.testing.assert_array_equal(small, found["gallery/input"][:, ::3, ::3])


def test_means_are_the_maps_means(plain):
    _, maps, found = plain
    np.testing.assert_allclose(found["picture/error"], maps.error.mean(0), rtol=1e-5)
    for c in range(3):
        wanted = maps.error[maps.labels == c].mean(0)
        np.testing.assert_allclose(found["picture/class_error"][c], wanted, rtol=1e-5)
    assert found["picture/class_count"].tolist() == [8, 8, 8]
    wanted = (maps.error_without - maps.error[:4, ..., None]).mean(0)
    np.testing.assert_allclose(found["picture/cost"], wanted, rtol=1e-4, atol=1e-7)
    low, high = found["picture/class_interval"].T
    means = found["picture/class_error"].mean((1, 2))
    assert ((low < means) & (means < high)).all()


def test_the_ablated_are_where_they_say(plain):
    _, maps, _ = plain
    moved = replace(maps, ablated=np.array([20, 21, 22, 23]))
    assert not np.allclose(picture_arrays(moved)["cost"], picture_arrays(maps)["cost"])


def test_hot_and_gradient_on_maps_that_are_known(plain):
    _, maps, _ = plain
    error = np.ones((24, 4, 4), np.float32)
    error[:12, 1, 2] = 9.0
    slope = np.broadcast_to(np.arange(16.0).reshape(4, 4), (24, 4, 4)).astype(np.float32)
    found = picture_arrays(replace(maps, error=error, gradient=slope))
    wanted = np.zeros((4, 4))
    wanted[1, 2] = 0.5
    np.testing.assert_array_equal(found["hot_share"], wanted)
    rising = picture_arrays(replace(maps, error=slope + 1, gradient=slope))["error_by_gradient"]
    assert (np.diff(rising[:, 1]) > 0).all()
    flat = picture_arrays(replace(maps, error=error, gradient=np.zeros_like(slope)))["error_by_gradient"]
    assert np.isnan(flat).all()


def test_arrays_are_small_whatever_the_number_of_images(plain):
    _, maps, found = plain
    assert sum(array.nbytes for array in found.values()) < 50_000
    assert {key.partition("/")[0] for key in found} == {"gallery", "picture"}
    per_image = ("error", "pixel_var", "error_half", "S", "friction", "settle", "input_mean", "input_var")
    per_image += ("gradient", "labels")
    more = replace(maps, **{name: np.repeat(getattr(maps, name), 20, 0) for name in per_image})
    assert {k: v.shape for k, v in picture_arrays(more).items()} == {
        k: v.shape for k, v in picture_arrays(maps).items()
    }


@pytest.mark.parametrize(
    ("channels", "says"),
    [
        (1, "Images of one channel are shown grey."),
        (3, None),
        (5, "Images of 5 channels are shown as their mean"),
    ],
)
def test_the_caption_says_what_is_shown_in_grey(channels, says):
    pixels = np.random.default_rng(1).integers(0, 256, (9, 16, 16, channels), np.uint8)
    images = from_arrays(pixels)
    model = Halves(channels)
    found = gallery_arrays(live_subject(model, images, RunOptions(), "halves"), extract(model, images))
    record = {"dataset": {"n_images": 9, "classes": None}, "measurements": {}, "verdicts": []}
    caption = failures.gallery(Shown(1, record, found)).caption
    assert (says or "grey input") in caption
    assert ("channel" in caption) == (says is not None)
