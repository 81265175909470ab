"""Images in the model's number of channels: luma, repetition, any number as given, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2gray, rgb2yuv

from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.noise import FAMILIES
from geolip_theorems.data.sources import SOURCES, load_images
from geolip_theorems.data.transforms import Normalize, parse_normalize
from geolip_theorems.io.errors import InputError

GREYS = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
sides = st.integers(4, 20)


def pictures(n=5, height=9, width=7, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, channels), np.uint8)


def luma(tensor: torch.Tensor) -> np.ndarray:
    """scikit-image's Y of YUV, which is the luma of BT.601; (B, 3, H, W) -> (B, 1, H, W) float64."""
    return rgb2yuv(tensor.double().numpy(), channel_axis=1)[:, :1]


# --- three to one ----------------------------------------------------------------------------------


@given(height=sides, width=sides, seed=st.integers(0, 99), size=st.none() | st.integers(4, 24))
@settings(max_examples=40, deadline=None)
def test_three_channels_become_their_luma(height, width, seed, size):
    images = pictures(3, height, width, seed=seed)
    grey = from_arrays(images, channels=1, image_size=size)
    colour = from_arrays(images, image_size=size)
    assert grey.channels == 1
    assert grey.tensor().shape == (3, 1, *grey.image_size)
    np.testing.assert_allclose(grey.tensor(), luma(colour.tensor()), atol=2e-7)


def test_the_luma_is_pillows_before_its_rounding_and_not_another():
    images = pictures(1, 40, 40)
    ours = 255 * from_arrays(images, channels=1).tensor()[0, 0].numpy()
    assert np.abs(ours - np.asarray(Image.fromarray(images[0]).convert("L"))).max() < 0.51
    hdtv = rgb2gray(images[0])  # BT.709, whose weights are others
    assert np.abs(ours - 255 * hdtv).max() > 10
    assert np.abs(ours - images[0].mean(-1)).max() > 10


def test_the_luma_of_a_grey_picture_is_its_grey_exactly():
    repeated = np.repeat(GREYS, 3, axis=3)
    assert torch.equal(from_arrays(repeated, channels=1).tensor(), from_arrays(GREYS).tensor())
    touched = repeated.copy()
    touched[..., 2] ^= 1  # the least a colour can differ
    assert not torch.equal(from_arrays(touched, channels=1).tensor(), from_arrays(GREYS).tensor())


@pytest.mark.parametrize("name", ["digits", "photos", "scenes"])
def test_named_sets_have_one_channel(name):
    options = {"image_size": 24, "max_images": 30}
    grey, colour = load_images(name, channels=1, **options), load_images(name, **options)
    assert (grey.channels, colour.channels) == (1, 3)
    np.testing.assert_allclose(grey.tensor(), luma(colour.tensor()), atol=2e-7)
    assert grey.preprocessing == colour.preprocessing + "+luma"
    assert grey.sha256 == colour.sha256  # the same pictures, otherwise prepared
    assert np.array_equal(grey.labels, colour.labels)
    if name == "digits":
        assert torch.equal(grey.tensor(), colour.tensor()[:, :1])


def test_a_folder_has_one_channel(tmp_path):
    for k, mode in enumerate(("RGB", "L", "P", "CMYK")):
        Image.fromarray(pictures(1, 20, 30, seed=k)[0]).convert(mode).save(tmp_path / f"{k}.tif")
    grey = load_images(str(tmp_path), image_size=16, channels=1)
    colour = load_images(str(tmp_path), image_size=16)
    assert grey.tensor().shape == (4, 1, 16, 16)
    np.testing.assert_allclose(grey.tensor(), luma(colour.tensor()), atol=2e-7)
    assert torch.equal(grey.tensor(1, 2), colour.tensor(1, 2)[:, :1])  # the grey file
    assert grey.preprocessing == "resize16+centercrop16+totensor+luma"


# --- one to three, and as given --------------------------------------------------------------------


@given(height=sides, width=sides, seed=st.integers(0, 99), size=st.none() | st.integers(4, 24))
@settings(max_examples=30, deadline=None)
def test_one_channel_is_repeated_and_comes_back(height, width, seed, size):
    grey = pictures(2, height, width, 1, seed)
    images = from_arrays(grey, channels=3, image_size=size)
    repeated = from_arrays(np.repeat(grey, 3, axis=3), image_size=size)
    assert torch.equal(images.tensor(), repeated.tensor())
    assert images.preprocessing == repeated.preprocessing + "+repeat3"
    assert repeated.preprocessing == ("totensor" if size is None else f"resize{size}+totensor")
    back = from_arrays(np.repeat(grey, 3, axis=3), image_size=size, channels=1)
    assert torch.equal(back.tensor(), from_arrays(grey, image_size=size).tensor())


def test_repeated_images_may_be_changed_channel_by_channel():
    images = from_arrays(GREYS, channels=3).tensor()
    images[:, 0] = 7
    assert images[:, 1].max() <= 1


@given(channels=st.integers(1, 7), height=sides, width=sides, size=st.integers(4, 24))
@settings(max_examples=40, deadline=None)
def test_channels_are_resized_each_for_itself(channels, height, width, size):
    images = pictures(2, height, width, channels)
    found = from_arrays(images, image_size=size)
    assert found.channels == channels
    assert found.tensor(0, 0).shape == (0, channels, *found.image_size)
    for c in range(channels):
        alone = from_arrays(images[..., c : c + 1], image_size=size).tensor()
        assert torch.equal(found.tensor()[:, c : c + 1], alone)


def test_a_fourth_channel_is_no_transparency():
    images = pictures(1, 20, 20, 4)
    as_rgba = np.asarray(Image.fromarray(images[0], "RGBA").resize((9, 9), Image.Resampling.BILINEAR))
    ours = 255 * from_arrays(images, image_size=9).tensor()[0].permute(1, 2, 0).numpy()
    assert np.array_equal(ours.round()[..., 3], as_rgba[..., 3])
    assert np.abs(ours - as_rgba)[..., :3].max() > 10  # Pillow weighs colours by the fourth channel


@given(channels=st.integers(1, 6), n=st.integers(1, 4), height=sides, width=sides)
@settings(max_examples=25, deadline=None)
def test_files_of_any_channels_are_read(tmp_path_factory, channels, n, height, width):
    path = tmp_path_factory.mktemp("npz") / "set.npz"
    images = pictures(n, height, width, channels)
    np.savez(path, images=images)
    found = load_images(str(path), image_size=min(height, width), channels=channels)
    assert torch.equal(found.tensor(), torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    assert "luma" not in found.preprocessing
    assert "repeat" not in found.preprocessing


def test_files_of_one_and_three_channels_serve_each_other(tmp_path):
    np.savez(tmp_path / "grey.npz", images=GREYS)
    np.savez(tmp_path / "colour.npz", images=pictures(2, 16, 16))
    grey = load_images(str(tmp_path / "grey.npz"), image_size=16)
    assert torch.equal(grey.tensor(), from_arrays(GREYS).tensor().expand(-1, 3, -1, -1))
    colour = load_images(str(tmp_path / "colour.npz"), image_size=16, channels=1)
    assert torch.equal(colour.tensor(), from_arrays(pictures(2, 16, 16), channels=1).tensor())


@given(channels=st.integers(1, 6))
@settings(max_examples=6, deadline=None)
def test_floats_of_any_channels_are_taken_as_they_are(channels):
    values = torch.randn(3, channels, 8, 12, generator=torch.Generator().manual_seed(channels))
    images = from_arrays(values, channels=channels)
    assert torch.equal(images.tensor(), values)
    assert (images.channels, images.preprocessing) == (channels, "as-given")


# --- normalisation ---------------------------------------------------------------------------------


def test_normalisation_comes_after_the_luma():
    images = pictures()
    found = from_arrays(images, channels=1, normalize=Normalize((0.5,), (0.25,)))
    wanted = (luma(from_arrays(images).tensor()) - 0.5) / 0.25
    np.testing.assert_allclose(found.tensor(), wanted, atol=2e-6)
    assert found.preprocessing == "totensor+luma+normalize(0.5/0.25)"


@given(channels=st.integers(1, 5), mean=st.floats(-1, 1), std=st.floats(0.1, 2), several=st.booleans())
@settings(max_examples=25, deadline=None)
def test_one_value_stands_for_every_channel(channels, mean, std, several):
    images = pictures(channels=channels)
    one = from_arrays(images, normalize=parse_normalize(f"{mean}/{std}", channels))
    means, stds = ",".join([str(mean)] * (channels if several else 1)), ",".join([str(std)] * channels)
    each = from_arrays(images, normalize=parse_normalize(f"{means}/{stds}", channels))
    assert torch.equal(one.tensor(), each.tensor())
    np.testing.assert_allclose(
        one.tensor(), (images.transpose(0, 3, 1, 2) / 255 - mean) / std, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    ("text", "channels"),
    [
        ("imagenet", 1),
        ("imagenet", 5),
        ("1,2/1", 3),
        ("1,2,3/1", 1),
        ("1,2,3/1,1,1", 5),
        ("1/", 1),
        ("1/0", 1),
    ],
)
def test_other_numbers_of_values_are_one_line(text, channels):
    with pytest.raises(InputError, match=f"for images of {channels} channels?; expected none") as caught:
        load_images("digits", normalize=text, channels=channels)
    assert "\n" not in str(caught.value)


def test_imagenet_is_for_three_channels_however_many_the_file_has():
    found = from_arrays(GREYS, channels=3, normalize=parse_normalize("imagenet"))
    assert found.tensor().shape[1] == 3
    with pytest.raises(InputError, match="for images of 1 channel;"):
        from_arrays(GREYS, normalize=parse_normalize("imagenet"))


# --- noise -----------------------------------------------------------------------------------------


@given(channels=st.integers(1, 6), size=st.integers(16, 24))
@settings(max_examples=10, deadline=None)
def test_noise_is_made_in_any_number_of_channels(channels, size):
    images = load_images("noise", image_size=size, max_images=32, channels=channels)
    values = images.tensor()
    assert images.channels == channels
    assert values.shape == (32, channels, size, size)
    own = values[[name not in ("pink", "brown") for name in FAMILIES * 2]]  # those are one value a channel
    for c in range(1, channels):  # none is another's copy
        assert not (own[:, c] == own[:, 0]).flatten(1).all(1).any()


def test_noise_of_three_channels_is_told_from_others():
    three, one = (load_images("noise", image_size=16, max_images=32, channels=c) for c in (3, 1))
    assert (three.preprocessing, one.preprocessing) == ("generated16", "generated16x1")
    assert three.sha256 != one.sha256
    assert three.store.recipe == "noise 1 seed 0 size 16"
    uniform = one.tensor()[one.labels == FAMILIES.index("uniform")]
    assert 0.9 < uniform.abs().max() <= 1


# --- what does not fit -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_", "wanted", "message"),
    [
        (5, 3, "the model takes 3 channels: give 3, or 1, which is repeated"),
        (2, 1, "the model takes 1 channel: give 1, or 3, whose luma is taken"),
        (
            3,
            5,
            r"the model takes 5 channels: give an .npz with images uint8 \(N, H, W, 5\), or --dataset noise",
        ),
        (1, 2, "the model takes 2 channels: give an .npz"),
    ],
)
def test_arrays_that_do_not_fit_are_one_line(given_, wanted, message, tmp_path):
    images = pictures(channels=given_)
    np.savez(tmp_path / "x.npz", images=images)
    with pytest.raises(InputError, match=f"the images have {given_} channels?; {message}") as from_memory:
        from_arrays(images, channels=wanted)
    with pytest.raises(InputError, match=message) as from_file:
        load_images(str(tmp_path / "x.npz"), image_size=8, channels=wanted)
    assert "\n" not in f"{from_memory.value}{from_file.value}"


@pytest.mark.parametrize("name", ["auto", "cifar10", "digits", "photos", "scenes", "folder"])
def test_pictures_have_no_other_channels_and_nothing_is_opened(name, tmp_path, monkeypatch):
    for source in SOURCES.values():
        monkeypatch.setitem(SOURCES, source.name, replace(source, open=lambda _: pytest.fail("was opened")))
    spec = str(tmp_path) if name == "folder" else name
    for channels in (2, 5):
        message = f"the images have 3 channels; the model takes {channels}"
        with pytest.raises(InputError, match=message) as caught:
            load_images(spec, channels=channels)
        assert "\n" not in str(caught.value)


def test_layouts_are_told_from_channels():
    with pytest.raises(InputError, match="channels last"):
        from_arrays(pictures(channels=8).transpose(0, 3, 1, 2)[:, :3])
    with pytest.raises(InputError, match="channels second"):
        from_arrays(np.zeros((2, 8, 8, 1)))
    with pytest.raises(InputError, match=r"model takes 1 channel; give \(N, 1, H, W\)"):
        from_arrays(torch.zeros(2, 3, 8, 8), channels=1)


def test_a_file_with_channels_first_is_told_so_for_any_model(tmp_path):
    np.savez(tmp_path / "x.npz", images=pictures(channels=5, height=8, width=8).transpose(0, 3, 1, 2))
    with pytest.raises(InputError, match=r"images are uint8 .*transpose\(0, 2, 3, 1\)"):
        load_images(str(tmp_path / "x.npz"), channels=5)
    with pytest.raises(InputError, match="have 8 channels; the model takes 3 channels"):
        load_images(str(tmp_path / "x.npz"))
