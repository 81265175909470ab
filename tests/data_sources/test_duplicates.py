"""Images that show the same picture twice are found; images that do not are left alone."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from geolip_theorems.data.duplicates import SHARE, near_duplicates, share_in_groups
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.run.options import RunOptions
from geolip_theorems.run.subject import open_subject

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def textures():
    """Sixty different smooth colour pictures, (60, 32, 32, 3) uint8."""
    rough = ndimage.gaussian_filter(RNG.standard_normal((60, 36, 36, 3)), (0, 1.5, 1.5, 0))
    low, high = rough.min((1, 2, 3), keepdims=True), rough.max((1, 2, 3), keepdims=True)
    return (255 * (rough - low) / (high - low)).astype(np.uint8)


def groups_of(pixels, **more):
    return near_duplicates(from_arrays(pixels, None, None, more.get("groups"), name="t", channels=3))


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, 3:35, 2:34],
        lambda x: np.clip(x[:, 2:34, 2:34].astype(int) + RNG.integers(-3, 4, (60, 32, 32, 3)), 0, 255),
        lambda x: 0.8 * x[:, 2:34, 2:34] + 20,
    ],
    ids=["moved by a pixel", "noise", "another contrast"],
)
def test_copies_share_a_group_and_others_do_not(textures, change):
    both = np.concatenate([textures[:, 2:34, 2:34], change(textures)]).astype(np.uint8)
    groups = groups_of(both)
    assert np.mean(groups[:60] == groups[60:]) > 0.9
    assert np.bincount(groups).max() == 2, "no two different pictures"


@pytest.mark.parametrize("name", ["digits", "photos", "scenes"])
def test_the_suites_own_images_are_no_duplicates(name):
    images = replace(load_images(name, offline=True, max_images=600), groups=None)
    assert share_in_groups(near_duplicates(images)) < SHARE


def test_groups_that_are_known_stay_together(textures):
    known = np.arange(60) // 2
    groups = groups_of(textures[:, 2:34, 2:34], groups=known)
    assert np.array_equal(np.unique(groups, return_inverse=True)[1], known)


def test_a_thousand_copies_are_one_group_in_little_time(textures):
    many = np.concatenate([np.repeat(textures[:1, 2:34, 2:34], 1500, 0), textures[1:, 2:34, 2:34]])
    begun = time.process_time()
    groups = groups_of(many)
    assert time.process_time() - begun < 10, "every pair was looked at"
    assert np.bincount(groups).max() == 1500
    assert share_in_groups(groups) == pytest.approx(1500 / 1559)


def test_blank_images_are_like_nothing():
    assert share_in_groups(groups_of(np.full((9, 32, 32, 3), 7, np.uint8))) == 0


def test_the_option_makes_groups_and_another_hash(tmp_path, textures):
    pixels = np.concatenate([textures[:, 2:34, 2:34]] * 2)
    np.savez(tmp_path / "twice.npz", images=pixels, labels=np.arange(120) % 3)
    plain, grouped = (
        open_subject(
            "freckles_embedded", str(tmp_path / "twice.npz"), RunOptions(offline=True, group_duplicates=on)
        )
        for on in (False, True)
    )
    assert plain.images.groups is None
    assert share_in_groups(grouped.images.groups) == 1
    assert grouped.images.sha256 != plain.images.sha256
