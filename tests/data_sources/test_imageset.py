"""ImageSet: preprocessing, order, prefixes, hashes and the arrays it accepts."""

from __future__ import annotations

import pickle
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import transforms

from geolip_theorems.data import transforms as transforms_module
from geolip_theorems.data.imageset import check_labels, from_arrays, interleave
from geolip_theorems.data.sources import load_images
from geolip_theorems.data.transforms import Normalize, Transform, _order, parse_normalize
from geolip_theorems.io.errors import InputError

NAMED = ("digits", "photos", "scenes", "noise")


@pytest.fixture(scope="module", params=NAMED)
def named(request):
    return load_images(request.param, image_size=32, max_images=330)


def pictures(n=12, height=9, width=7, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, height, width, 3), np.uint8)


# --- preprocessing ---------------------------------------------------------------------------------


@given(
    height=st.integers(4, 90),
    width=st.integers(4, 90),
    size=st.integers(4, 70),
    crop=st.booleans(),
    normalised=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_the_transform_is_torchvisions_bit_for_bit(height, width, size, crop, normalised):
    image = Image.fromarray(pictures(1, height, width, seed=height)[0])
    mean, std = (0.48, 0.44, 0.39), (0.27, 0.26, 0.28)
    steps = [transforms.Resize(size)] + [transforms.CenterCrop(size)] * crop + [transforms.ToTensor()]
    steps += [transforms.Normalize(mean, std)] * normalised
    own = Transform(size, crop=crop, normalize=Normalize(mean, std) if normalised else None)
    expected = transforms.Compose(steps)(image)
    assert torch.equal(own.batch([image])[0], expected)
    assert own.output_size(height, width) == tuple(expected.shape[1:])


def test_another_interpolation_would_be_noticed():
    image = Image.fromarray(pictures(1)[0])
    nearest = transforms.Compose([transforms.Resize(16, transforms.InterpolationMode.NEAREST)])(image)
    assert not np.array_equal(np.asarray(nearest), Transform(16).pixels(image))


@given(
    height=st.integers(4, 90),
    width=st.integers(4, 90),
    size=st.integers(1, 130),
    crop=st.booleans(),
    channels=st.sampled_from([1, 3, 4]),
    black_and_white=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_resizing_on_a_device_gives_pillows_bytes(height, width, size, crop, channels, black_and_white):
    images = np.random.default_rng(width).integers(0, 256, (3, height, width, channels), np.uint8)
    if black_and_white:
        images = (images > 127).astype(np.uint8) * 255
    transform = Transform(size, crop=crop, channels=None)
    assert _order(transform, images.shape[1:])  # by products, not by Pillow after all
    found = transform.of_one_size(images, torch.device("cpu"))
    assert torch.equal(found, transform.to_tensor(np.stack([transform.array(image) for image in images])))


def test_an_order_of_resizing_that_is_not_pillows_is_noticed_and_pillow_is_asked(monkeypatch):
    images = pictures(2, 40, 30)
    own = transforms_module._weights
    monkeypatch.setattr(transforms_module, "_weights", lambda *sides: own(*sides) // 2)  # negative control
    transform = Transform(17)
    assert _order(transform, images.shape[1:]) is None
    found = transform.of_one_size(images, torch.device("cpu"))
    assert torch.equal(found, transform.batch(map(Image.fromarray, images)))
    _order.cache_clear()


def test_an_image_set_is_the_same_on_a_device(monkeypatch):
    images = from_arrays(pictures(), image_size=16)
    asked = []
    monkeypatch.setattr(images.store, "on_device", lambda *a: asked.append(a) or torch.zeros(1))
    assert torch.equal(images.tensor(2, 5, torch.device("cpu")), images.tensor(2, 5))
    assert not asked
    assert torch.equal(images.tensor(2, 5, torch.device("cuda")), torch.zeros(1))
    monkeypatch.undo()
    index = images.order[2:5]
    assert torch.equal(images.store.on_device(index, torch.device("cpu")), images.tensor(2, 5))
    assert (
        load_images("scenes", image_size=16, max_images=3).store.on_device(index, torch.device("cpu")) is None
    )


def test_normalize_reads_names_and_numbers():
    assert parse_normalize("none") is None
    assert parse_normalize("imagenet").mean == (0.485, 0.456, 0.406)
    values = parse_normalize("0.48,0.44,0.39/0.27,0.26,0.28")
    assert values == Normalize((0.48, 0.44, 0.39), (0.27, 0.26, 0.28))
    assert parse_normalize(str(values)) == values


@pytest.mark.parametrize(
    "text",
    ["", "imagenett", "1,2,3", "1,2/3,4", "1,2,3/1,2,0", "1,2,3/1,2,nan", "a,b,c/1,1,1", "1,1,1/1,1,1/1"],
)
def test_a_bad_normalize_is_one_line(text):
    with pytest.raises(InputError, match="expected none, imagenet or") as caught:
        load_images("digits", normalize=text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("size", [0, -1, 5000, 64.0, "64", True])
def test_a_bad_image_size_is_refused(size):
    with pytest.raises(InputError, match="image size is"):
        load_images("digits", image_size=size)


# --- order and batches -----------------------------------------------------------------------------


@example(cuts=[0, 5, 5, 330])
@given(cuts=st.lists(st.integers(0, 330), max_size=6))
@settings(max_examples=8, deadline=None)
def test_batches_do_not_change_the_images(named, cuts):
    edges = [0, *sorted(cuts), 330]
    parts = [named.tensor(a, b) for a, b in pairwise(edges)]
    assert all(part.shape[1:] == (3, *named.image_size) and part.dtype == torch.float32 for part in parts)
    assert torch.equal(torch.cat(parts), named.tensor())


def test_a_prefix_is_the_beginning(named):
    part = named.prefix(25)
    assert len(part) == 25
    assert torch.equal(part.tensor(), named.tensor(0, 25))
    assert np.array_equal(part.labels, named.labels[:25])
    assert part.sha256 == named.prefix(40).prefix(25).sha256 != named.sha256
    assert named.prefix(10**6) is named
    assert np.bincount(named.prefix(160).labels).min() >= 10  # every class is in it


def test_what_is_read_may_be_changed(named):
    before = named.tensor(0, 4)
    named.tensor(0, 4).fill_(7)
    assert torch.equal(named.tensor(0, 4), before)


def test_a_set_travels_to_another_process(named):
    copy = pickle.loads(pickle.dumps(named))
    assert copy.sha256 == named.sha256
    assert torch.equal(copy.tensor(3, 9), named.tensor(3, 9))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60))
def test_interleaving_is_a_balanced_permutation(labels):
    labels = np.array(sorted(labels))
    order = interleave(labels)
    assert sorted(order) == list(range(len(labels)))
    totals = np.bincount(labels, minlength=6)
    for stop in range(len(labels) + 1):
        taken = np.bincount(labels[order[:stop]], minlength=6)
        unfinished = taken[taken < totals]
        assert taken.max(initial=0) - unfinished.min(initial=taken.max(initial=0)) <= 1
    for label in range(6):
        own = order[labels[order] == label]
        assert np.array_equal(own, np.sort(own))  # within a class the order stays


def test_only_sources_sorted_by_class_are_interleaved():
    images = pictures(6)
    by_class = from_arrays(images, [0, 0, 0, 2, 2, 2])
    assert by_class.interleaved().labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.equal(by_class.interleaved().tensor(1, 2), by_class.tensor(3, 4))
    mixed = from_arrays(images, [0, 1, 0, 1, 1, 0])
    assert mixed.interleaved() is mixed


# --- hashes ----------------------------------------------------------------------------------------


def test_the_hash_sees_pixels_labels_groups_classes_order_and_size():
    images, labels = pictures(), np.arange(12) % 3
    base = from_arrays(images, labels, "abc", labels).sha256
    assert base == from_arrays(images.copy(), labels.astype(np.int8), list("abc"), labels).sha256
    touched = images.copy()
    touched[5, 1, 2, 0] ^= 1
    turned = images[::-1]
    others = [
        from_arrays(touched, labels, "abc", labels),
        from_arrays(turned, labels, "abc", labels),
        from_arrays(images, labels[::-1], "abc", labels),
        from_arrays(images, labels, "abd", labels),
        from_arrays(images, labels, "abc"),
        from_arrays(images),
        from_arrays(images.reshape(12, 7, 9, 3), labels, "abc", labels),
        from_arrays(images, labels, "abc", labels, image_size=8),
        from_arrays(torch.zeros(12, 3, 9, 7), labels, "abc", labels),
    ]
    hashes = {other.sha256 for other in others} | {base}
    assert len(hashes) == len(others) + 1


# --- arrays ----------------------------------------------------------------------------------------


def test_floats_are_taken_as_they_are():
    values = torch.randn(5, 3, 8, 12, generator=torch.Generator().manual_seed(0)) * 3
    for given_as in (values, values.numpy(), values.double().requires_grad_()):
        images = from_arrays(given_as)
        assert torch.equal(images.tensor(), values)
        assert images.image_size == (8, 12)
        assert images.preprocessing == "as-given"


def test_bytes_are_scaled_and_labels_named():
    images = from_arrays(pictures(), labels=[3, 7, 9] * 4)
    assert torch.equal(images.tensor(), torch.from_numpy(pictures()).permute(0, 3, 1, 2) / 255)
    assert images.classes == ("3", "7", "9")
    assert images.labels.tolist() == [0, 1, 2] * 4


BAD_ARRAYS = {
    "channels first": ({"images": pictures().transpose(0, 3, 1, 2)}, "channels last"),
    "grey": ({"images": pictures()[..., 0]}, "expected uint8"),
    "no image": ({"images": pictures()[:0]}, "none of them 0"),
    "int64": ({"images": pictures().astype(np.int64)}, "expected uint8"),
    "floats with channels last": ({"images": np.zeros((4, 8, 8, 3))}, "channels second"),
    "floats of 8 bits": (
        {"images": pictures().transpose(0, 3, 1, 2).astype(np.float32)},
        r"float images \(12, 3, 9, 7\) hold whole numbers from 0 to 255; expected values .* divide by 255",
    ),
    "text": ({"images": np.full((1, 3, 4, 4), "x")}, "expected uint8"),
    "NaN": ({"images": torch.full((2, 3, 4, 4), float("nan"))}, "image 0 holds NaN"),
    "infinite": ({"images": torch.full((2, 3, 4, 4), float("inf"))}, "NaN or infinite"),
    "1x1": ({"images": np.zeros((4, 1, 1, 3), np.uint8)}, "at least 4 pixels"),
    "too few labels": ({"labels": [0, 1]}, r"expected integers \(12,\)"),
    "float labels": ({"labels": np.zeros(12)}, "labels are float64"),
    "negative label": ({"labels": [-1] * 12, "classes": "ab"}, "labels go from -1"),
    "label out of range": ({"labels": [2] * 12, "classes": "ab"}, "expected 0 to 1"),
    "huge labels": ({"labels": np.full(12, 2**64 - 1, np.uint64)}, "below 2"),
    "same names": ({"labels": [0] * 12, "classes": "aa"}, "distinct names"),
    "classes alone": ({"classes": "ab"}, "classes without labels"),
    "groups": ({"groups": np.zeros((12, 2), int)}, "groups are"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_bad_arrays_are_one_line(case):
    arguments, message = BAD_ARRAYS[case]
    with pytest.raises(InputError, match=message) as caught:
        from_arrays(**{"images": pictures(), **arguments})
    assert "\n" not in str(caught.value)


def test_labels_must_allow_a_comparison():
    check_labels(from_arrays(pictures()))
    check_labels(from_arrays(pictures(), np.arange(12) % 6))
    with pytest.raises(InputError, match="class '0' has 12 of the 12 images; expected more than one class"):
        check_labels(from_arrays(pictures(), np.zeros(12, int)))
    with pytest.raises(InputError, match=r"class '5' has 1 of the 12 images; .* at least 2 of each"):
        check_labels(from_arrays(pictures(), [*[0] * 11, 5]))
    with pytest.raises(InputError, match="class '5' has 0 of the 12"):
        check_labels(from_arrays(pictures(), np.arange(12) % 5, [str(k) for k in range(10)]))


@pytest.mark.parametrize("count", [0, -3, 1.5, True])
def test_a_bad_number_of_images_is_refused(count):
    with pytest.raises(InputError, match="expected a whole number above 0"):
        load_images("digits", max_images=count)


@pytest.mark.parametrize("count", [26, 64, 130])
def test_prefixes_of_the_spread_order_hold_groups_and_classes_in_proportion(count):
    groups = np.repeat(np.arange(13), 20)  # as in the digits: all classes in each group
    labels = np.tile(np.arange(10), 26)
    images = from_arrays(np.zeros((260, 8, 8, 3), np.uint8), labels=labels, groups=groups)
    order = images.spread_order()
    assert sorted(order) == list(range(260))
    for values, least in ((groups, 13), (labels, 10)):
        shares = np.bincount(values[order[:count]], minlength=least) / count
        assert abs(shares * least - 1).max() <= 0.62  # a plain prefix has whole groups missing: 1.0


def test_spread_order_without_labels():
    assert list(from_arrays(np.zeros((5, 8, 8, 3), np.uint8)).spread_order()) == [0, 2, 1, 3, 4]
    assert list(from_arrays(np.zeros((1, 8, 8, 3), np.uint8)).spread_order()) == [0]
