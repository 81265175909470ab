""".npz files: round trip, wrong contents, damaged and hostile files."""

from __future__ import annotations

import io
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from geolip_theorems.data.sources import load_images
from geolip_theorems.io.errors import InputError

MOST_BYTES = 32 << 20  # what refusing a file may take


def pictures(n=6, height=8, width=8):
    return np.random.default_rng(0).integers(0, 256, (n, height, width, 3), np.uint8)


def npy(array, allow_pickle=False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=allow_pickle)
    return stream.getvalue()


def header(shape: str, descr="'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(path, method=zipfile.ZIP_DEFLATED, **members: bytes):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)


@given(
    images=hnp.arrays(
        np.uint8, st.tuples(st.integers(2, 6), st.integers(4, 9), st.integers(4, 9), st.just(3))
    ),
    compressed=st.booleans(),
    labelled=st.booleans(),
)
@settings(max_examples=30, deadline=None)
def test_what_is_saved_is_loaded(tmp_path_factory, images, compressed, labelled):
    path = tmp_path_factory.mktemp("npz") / "some set.npz"
    extra = {}
    if labelled:
        labels = np.arange(len(images)) % 2
        extra = {"labels": labels, "classes": np.array(["cat", "dög"]), "groups": labels + 5}
    (np.savez_compressed if compressed else np.savez)(path, images=images, **extra)
    loaded = load_images(str(path), image_size=min(images.shape[1:3]))
    assert torch.equal(loaded.tensor(), torch.from_numpy(images).permute(0, 3, 1, 2) / 255)
    assert (loaded.name, loaded.source) == ("some set", "file some set.npz")
    if labelled:
        assert loaded.labels.tolist() == labels.tolist()
        assert loaded.classes == ("cat", "dög")
        assert loaded.groups.tolist() == (labels + 5).tolist()
    else:
        assert loaded.labels is loaded.classes is loaded.groups is None


def test_a_sorted_file_is_interleaved_before_the_prefix(tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures(), labels=[0, 0, 0, 1, 1, 1], groups=np.arange(6))
    loaded = load_images(str(tmp_path / "a.npz"), image_size=8, max_images=4)
    assert loaded.labels.tolist() == [0, 1, 0, 1]
    assert loaded.groups.tolist() == [0, 3, 1, 4]
    assert torch.equal(loaded.tensor(1, 2), torch.from_numpy(pictures()[3:4]).permute(0, 3, 1, 2) / 255)


LAYOUT = (
    r"expected images uint8 \(N, H, W, C\) .* images.transpose\(0, 2, 3, 1\), images\[..., None\] or \(255 \*"
)
WRONG = {
    "no images": ({"labels": [0, 1]}, "no array 'images', only"),
    "nothing": ({}, "no array 'images', only nothing"),
    "a typing error": (
        {"images": pictures(), "label": [0] * 6},
        "unknown array 'label', did you mean 'labels'",
    ),
    "float images": ({"images": np.zeros((6, 8, 8, 3))}, rf"images are float64 \(6, 8, 8, 3\); {LAYOUT}"),
    "channels first": (
        {"images": np.zeros((6, 3, 8, 8), np.uint8)},
        rf"images are uint8 \(6, 3, 8, 8\); {LAYOUT}",
    ),
    "numbers of 8 bytes": ({"images": np.zeros((6, 8, 8, 3), int)}, f"images are int64 .* {LAYOUT}"),
    "RGBA": (
        {"images": np.zeros((6, 8, 8, 4), np.uint8)},
        "have 4 channels; the model takes 3 channels: give 3",
    ),
    "grey": ({"images": np.zeros((6, 8, 8), np.uint8)}, rf"images are uint8 \(6, 8, 8\); {LAYOUT}"),
    "empty": ({"images": np.zeros((0, 8, 8, 3), np.uint8)}, "images are uint8"),
    "1x1": ({"images": np.zeros((6, 1, 1, 3), np.uint8)}, "at least 4 pixels"),
    "50 megapixels": ({"images": np.zeros((1, 5000, 10000, 3), np.uint8)}, "at most 32 megapixels"),
    "a ribbon": ({"images": np.zeros((1, 4, 4096, 3), np.uint8)}, "at most 32 to 1"),
    "too few labels": (
        {"images": pictures(), "labels": [0, 1]},
        r"labels are int64 \(2,\); expected integers \(6,\), one for each image",
    ),
    "one label": ({"images": pictures(), "labels": 1}, r"labels are int64 \(\); expected integers \(6,\)"),
    "too many groups": (
        {"images": pictures(), "groups": [0] * 9},
        r"groups are int64 \(9,\); expected integers \(6,\)",
    ),
    "float labels": (
        {"images": pictures(), "labels": np.zeros(6)},
        r"labels are float64 \(6,\); expected integers",
    ),
    "names as labels": ({"images": pictures(), "labels": ["a"] * 6}, "return_inverse=True"),
    "one-hot labels": ({"images": pictures(), "labels": np.eye(6, dtype=int)}, r"rows.argmax\(1\)"),
    "NaN labels": ({"images": pictures(), "labels": np.full(6, np.nan)}, "labels are float64"),
    "label out of range": (
        {"images": pictures(), "labels": [9] * 6, "classes": ["a", "b"]},
        "labels go from 9",
    ),
    "negative": ({"images": pictures(), "labels": [-1] * 6, "classes": ["a", "b"]}, "labels go from -1"),
    "number classes": ({"images": pictures(), "labels": [0] * 6, "classes": [1, 2]}, "classes are int64"),
    "groups": ({"images": pictures(), "groups": np.zeros((6, 1), int)}, "groups are int64"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_contents_are_one_line(case, tmp_path):
    arrays, message = WRONG[case]
    np.savez_compressed(tmp_path / "x.npz", **arrays)
    refused(tmp_path / "x.npz", message)


class _Runs:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def _object_array(path, marker):
    zipped(path, images=npy(np.array([_Runs(f"touch {marker}")], object), allow_pickle=True))


def _object_labels(path, marker):
    labels = np.array([_Runs(f"touch {marker}")] * 6, object)
    zipped(path, images=npy(pictures()), labels=npy(labels, allow_pickle=True))


def _bomb(path, marker):
    shape = (1400, 256, 256, 3)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as stream,
    ):
        stream.write(header(str(shape)))
        for _ in range(shape[0]):
            stream.write(bytes(256 * 256 * 3))


def _claims_too_much(path, marker):
    zipped(path, images=header("(1000000, 1000, 1000, 3)") + bytes(1000))


def _overflowing_shape(path, marker):
    zipped(path, images=header("(9223372036854775807, 9223372036854775807, 8, 3)") + bytes(10))


def _negative_shape(path, marker):
    zipped(path, images=header("(-6, 8, 8, 3)") + bytes(1152))


def _code_in_header(path, marker):
    zipped(path, images=header(f"__import__('os').system('touch {marker}')") + bytes(10))


def _long_header(path, marker):
    zipped(path, images=header("(" + "1," * 20_000 + ")") + bytes(10))


def _path_trick(path, marker):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy(pictures()))
        archive.writestr("../../outside.npy", npy(pictures()))


def _twice(path, marker):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", npy(pictures()))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("images.npy", npy(pictures()))


def _truncated(path, marker):
    zipped(path, images=npy(pictures()))
    path.write_bytes(path.read_bytes()[:-200])


def _flipped(path, marker):
    zipped(path, zipfile.ZIP_STORED, images=npy(pictures()))
    content = bytearray(path.read_bytes())
    content[600] ^= 1  # a pixel: only the checksum can tell
    path.write_bytes(content)


def _wrong_magic(path, marker):
    path.write_bytes(b"\x93NUMPY\x01\x00 no archive at all")


def _plain_npy(path, marker):
    path.write_bytes(npy(pictures()))


def _empty(path, marker):
    path.write_bytes(b"")


def _no_npy_inside(path, marker):
    zipped(path, images=b"GIF89a")


def _other_version(path, marker):
    zipped(path, images=npy(pictures()).replace(b"NUMPY\x01", b"NUMPY\x09", 1))


def _record_dtype(path, marker):
    zipped(path, images=header("(6,)", "[('a', '|u1')]") + bytes(6))


def _encrypted(path, marker):
    zipped(path, images=npy(pictures()))
    content = bytearray(path.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    path.write_bytes(content)


HOSTILE = {
    _object_array: "images holds Python objects, which are never loaded",
    _object_labels: "labels holds Python objects, which are never loaded",
    _bomb: r"unpacks to [0-9,]+ bytes, over 2 times its size",
    _claims_too_much: "images claims .* do not hold",
    _overflowing_shape: "at most 32 megapixels",
    _negative_shape: "images are|cannot be read",
    _code_in_header: "cannot be read",
    _long_header: "cannot be read",
    _path_trick: r"unknown array '\.\./\.\./outside'",
    _twice: "two members named 'images.npy'",
    _truncated: "cannot be read",
    _flipped: "cannot be read .*CRC",
    _wrong_magic: "cannot be read .*not a zip file",
    _plain_npy: "cannot be read .*not a zip file",
    _empty: "cannot be read .*not a zip file",
    _no_npy_inside: "cannot be read",
    _other_version: "expected 1.0|cannot be read",
    _record_dtype: "images are",
    _encrypted: "cannot be read .*encrypted",
}


@pytest.mark.parametrize("make", HOSTILE, ids=lambda make: make.__name__.strip("_"))
def test_hostile_files_are_one_line_and_run_nothing(make, tmp_path):
    marker, path = tmp_path / "it_ran", tmp_path / "x.npz"
    make(path, marker)
    refused(path, HOSTILE[make])
    assert not marker.exists()


def test_the_hostile_pickles_would_run_elsewhere(tmp_path):
    marker, path = tmp_path / "it_ran", tmp_path / "x.npz"
    _object_array(path, marker)
    np.load(path, allow_pickle=True)["images"]
    assert marker.exists()


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damage_anywhere_gives_the_images_or_one_line(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    zipped(path, data.draw(st.sampled_from([0, 8])), images=npy(pictures()), labels=npy(np.arange(6) % 2))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        loaded, complaint = load_images(str(path), image_size=8).store.images, ""
    except InputError as error:
        loaded, complaint = pictures(), str(error)
    assert np.array_equal(loaded, pictures())
    assert "\n" not in complaint


def refused(path, message):
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            load_images(str(path), image_size=8)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert peak < MOST_BYTES
