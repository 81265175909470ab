"""The sets that are always there: digits, photographs, scenes, noise; and how a name is resolved."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits

from geolip_theorems.data.imageset import check_labels
from geolip_theorems.data.noise import FAMILIES
from geolip_theorems.data.sources import SOURCES, load_images, names
from geolip_theorems.data.sources.photos import CROP, PHOTOS, nearly_uniform, photo_crops
from geolip_theorems.data.sources.scenes import SHAPES, render
from geolip_theorems.io.errors import InputError

# The 8-bit scenes are to be the same on every machine.
FIRST_SCENES = "2165d9a4e7aeb136106c38544cd17be2384133854d8d5924507d1a14688d1ad9"
ALL_DIGITS = "2cb4801fbfea22de7d5a2abc64afcbcb8532d0300ccfe2e1ef349033d257664f"


def test_digits_are_scikit_learns():
    images, original = load_images("digits"), load_digits()
    assert len(images) == 1797
    assert images.image_size == (64, 64)
    assert np.array_equal(images.labels, original.target)  # in their own order
    grey = np.array([round(v * 255 / 16) for v in range(17)])[original.images.astype(int)]
    assert np.array_equal(images.store.images, np.repeat(grey[..., None], 3, 3))
    assert images.sha256 == ALL_DIGITS
    sizes = np.bincount(images.groups)
    assert len(sizes) == 13
    assert set(sizes) == {138, 139}
    assert (np.diff(images.groups) >= 0).all()
    check_labels(images)


def test_photos_are_balanced_crops_of_the_photographs():
    images = load_images("photos", image_size=32)
    assert images.classes == tuple(PHOTOS)
    assert np.bincount(images.labels).tolist() == [120] * 10
    assert images.labels[:20].tolist() == list(range(10)) * 2
    assert not nearly_uniform(images.store.images).any()
    for label, name in enumerate(PHOTOS):
        own = images.store.images[images.order[images.labels == label]]
        everything = {crop.tobytes() for crop in photo_crops(name)[0]}
        assert {crop.tobytes() for crop in own} <= everything
        assert len(np.unique(images.groups[images.labels == label])) >= 5
    owners = [set(images.labels[images.groups == group]) for group in np.unique(images.groups)]
    assert all(len(owner) == 1 for owner in owners)  # no group spans two photographs


def test_crops_tile_the_photograph():
    crops, block = photo_crops("chelsea")
    assert len(crops) == (300 // CROP) * (451 // CROP)
    assert np.array_equal(np.hstack(crops[:14])[:, :-1, :], np.hstack(crops[:14])[:, :447, :])
    assert (block[0], block[3], block[4], block[3 * 14], block[4 * 14]) == (0, 0, 1, 0, 4)


def test_uniform_means_every_channel():
    flat = np.full((1, 32, 32, 3), 100, np.uint8)
    noisy = np.random.default_rng(0).integers(0, 256, flat.shape, np.uint8)
    one_channel = flat.copy()
    one_channel[..., 1] = noisy[..., 1]
    faint = flat + np.random.default_rng(1).integers(0, 20, flat.shape).astype(np.uint8)  # std 5.8
    assert nearly_uniform(np.concatenate([flat, noisy, one_channel, faint])).tolist() == [1, 0, 0, 1]


def test_a_missing_photograph_is_one_line(monkeypatch):
    monkeypatch.setitem(PHOTOS, "coffee", ("skimage", "data/tea.png"))
    with pytest.raises(InputError, match=r"scikit-image has no readable data/tea\.png; reinstall"):
        load_images("photos")


# --- scenes ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def block():
    return render(0, seed=0, size=64)


def test_scenes_are_the_same_everywhere():
    images = load_images("scenes", max_images=200)
    assert images.labels.tolist() == list(range(10)) * 20
    assert images.sha256 == FIRST_SCENES
    assert images.sha256 != load_images("scenes", max_images=200, seed=1).sha256


def test_there_are_2000_scenes_or_as_many_as_asked_for():
    assert len(load_images("scenes")) == 2000
    many = load_images("scenes", max_images=200_000, image_size=16)
    assert len(many) == 200_000  # made when read
    assert torch.equal(
        many.tensor(60, 120), load_images("scenes", max_images=130, image_size=16).tensor(60, 120)
    )
    assert many.masks(199_990).shape == (10, 16, 16)


def test_the_boundary_is_the_pixels_beside_the_outline(block):
    _, inside, boundary = block
    cross = ndimage.generate_binary_structure(2, 1)
    for shape, band in zip(inside, boundary, strict=True):
        grown = ndimage.binary_dilation(shape, cross)
        shrunk = ndimage.binary_erosion(shape, cross, border_value=1)
        assert np.array_equal(band, grown & ~shrunk)
    share = inside.mean((1, 2))
    assert share.min() > 0.01
    assert share.max() < 0.6


def test_the_picture_changes_at_the_boundary(block):
    """Colour changes more in the boundary than elsewhere; in another scene's boundary it does not."""
    images, _, boundary = block
    rows, columns = np.gradient(images.astype(float), axis=(1, 2))
    change = np.sqrt(rows**2 + columns**2).sum(-1)
    own = np.array([c[b].mean() / c[~b].mean() for c, b in zip(change, boundary, strict=True)])
    moved = np.roll(boundary, 10, axis=0)  # the same shape in another pose
    other = np.array([c[b].mean() / c[~b].mean() for c, b in zip(change, moved, strict=True)])
    assert np.median(own) > 2
    assert np.mean(own > 1.2) > 0.95
    assert np.median(other) < 1.5


def test_the_outlines_enclose_the_areas_they_should():
    axis = (np.arange(800) + 0.5) / 400 - 1
    x, y = np.meshgrid(axis, axis)
    s36, s72 = math.sin(math.radians(36)), math.sin(math.radians(72))
    inner = math.cos(math.radians(72)) / math.cos(math.radians(36))  # inner radius of a unit pentagram
    areas = {
        "disc": math.pi * 0.85**2,
        "ring": math.pi * (0.9**2 - 0.46**2),
        "square": 1.44**2,
        "triangle": 3 * math.sqrt(3) / 4,
        "star": 5 * inner * s36,
        "cross": 2 * 1.8 * 0.56 - 0.56**2,
        "heart": 1 + math.pi / 4,
    }
    assert s72 > s36  # the star is the pointed one, not the pentagon
    for name, area in areas.items():
        assert np.mean(SHAPES[name](x, y) < 0) * 4 == pytest.approx(area, rel=0.01), name


def test_scenes_vary_and_colour_does_not_give_the_class_away(block):
    images, inside, _ = block
    colour = images.mean((1, 2))
    assert colour.std(0).min() > 20
    assert inside.mean(0).max() < 0.9  # no pixel belongs to the shape always
    images = load_images("scenes", max_images=600, image_size=32)
    feature = images.tensor().mean((2, 3)).numpy()
    labels = images.labels
    centroids = np.stack([feature[:400][labels[:400] == k].mean(0) for k in range(10)])
    guess = np.linalg.norm(feature[400:, None] - centroids, axis=2).argmin(1)
    assert np.mean(guess == labels[400:]) < 0.2


# --- noise -----------------------------------------------------------------------------------------


def test_noise_is_unscaled_whatever_is_asked_for():
    images = load_images("noise", normalize="imagenet")
    assert len(images) == 800
    assert images.classes == FAMILIES
    assert np.bincount(images.labels).tolist() == [50] * 16
    values = images.tensor()
    assert values.min() < -3
    assert 3 < values.max() <= 4
    assert images.preprocessing == "generated64"
    assert not torch.equal(values[:16], values[16:32])
    uniform = values[images.labels == FAMILIES.index("uniform")]
    assert uniform.abs().max() <= 1


def test_the_seed_decides():
    first = load_images("noise", max_images=32, image_size=16)
    assert first.sha256 == load_images("noise", max_images=32, image_size=16).sha256
    for name in ("noise", "scenes"):
        two_blocks = [
            load_images(name, max_images=320, image_size=16, seed=seed).tensor() for seed in (0, 0, 1)
        ]
        assert torch.equal(two_blocks[0], two_blocks[1])
        repeated = (two_blocks[0] == two_blocks[2]).flatten(1).all(1)
        assert not repeated.any()
        assert len(torch.unique(two_blocks[0].flatten(1), dim=0)) == 320  # no block is another's copy
    for seed in (-1, 2**63, 1.0, True):
        with pytest.raises(InputError, match="the seed is"):
            load_images("scenes", seed=seed)
    with pytest.raises(InputError, match="expected --image-size 16 or more"):
        load_images("scenes", image_size=8)


# --- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("digit", "did you mean 'digits'"),
        ("CIFAR10", "unknown dataset .* known: auto, cifar10"),
        ("", "unknown dataset"),
        ("./digits", "no such folder"),
        ("no/where", "no such folder"),
        ("images.npz", "no such folder or .npz"),
        ("a\0b", "unknown dataset"),
        ("a\nb", "unknown dataset"),
        ("x" * 5000, "unknown dataset"),
    ],
)
def test_an_unknown_dataset_is_one_line(spec, message):
    with pytest.raises(InputError, match=message) as caught:
        load_images(spec, offline=True)
    assert "\n" not in str(caught.value)


def test_every_name_has_a_line():
    assert names() == ["auto", "cifar10", "digits", "photos", "scenes", "noise"]
    assert all(source.about and "\n" not in source.about for source in SOURCES.values())
