"""Damaged good files, by Hypothesis: flipped, cut, spliced, repeated. One clear line or a sound result."""

import io
import json
import math
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st
from safetensors.torch import save

from geolip_theorems.data.sources import cifar10 as cifar
from geolip_theorems.data.sources import load_images
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.reading import build_model, read_checkpoint
from geolip_theorems.model.writing import CONFIG_KEY
from geolip_theorems.results import companion
from geolip_theorems.results.record import read_results
from geolip_theorems.run.settings import load_claims

from .fuzzing import fuzzed
from .samples import CONFIG, content, good_batch, npy, picture, pictures, results, saved, weights, zipped

INTERESTING = (0, 1, 127, 128, 255, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1)


@st.composite
def damage(draw, samples: tuple[bytes, ...]) -> bytes:
    """A sample with a few changes; every change is a small drawing, so failures shrink to few of them."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(("flip", "byte", "number", "cut", "drop", "repeat", "splice")))
        at = draw(st.integers(0, max(0, len(data) - 1)))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "byte" and data:
            data[at] = draw(st.integers(0, 255))
        elif kind == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            value = draw(st.sampled_from(INTERESTING)) & ((1 << 8 * width) - 1)
            data[at : at + width] = value.to_bytes(width, "little")
        elif kind == "cut":
            del data[at:]
        elif kind == "drop":
            del data[at : at + draw(st.integers(1, 64))]
        elif kind == "repeat":
            piece = data[at : at + draw(st.integers(1, 64))]
            data[at:at] = piece * draw(st.integers(1, 8))
        else:
            other = draw(st.sampled_from(samples))
            start = draw(st.integers(0, max(0, len(other) - 1)))
            data[at : at + 64] = other[start : start + draw(st.integers(1, 256))]
    return bytes(data)


def with_pickle(data: bytes, change) -> bytes:
    """An archive with its pickle changed and the checksums right, so that damage gets past them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(stream, "w") as new:
        for name in old.namelist():
            found = old.read(name)
            new.writestr(name, change(found) if name.endswith("data.pkl") else found)
    return stream.getvalue()


def in_one_line(read, *arguments, **options):
    """What a reader gives, or None where it refuses in one printable line; anything else fails the test."""
    try:
        return read(*arguments, **options)
    except InputError as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 1000
    return None


def check_model(path: Path) -> bool:
    """Read a checkpoint; what is accepted must be a model that can run."""
    checkpoint = in_one_line(read_checkpoint, path)
    model = checkpoint and in_one_line(build_model, checkpoint, "m")
    if model is None:
        return False
    size = 2 * model.patch_size
    if sum(weights.numel() for weights in model.parameters()) < 1 << 20 and size <= 64:
        assert model(torch.zeros(1, 3, size, size))["recon"].shape == (1, 3, size, size)
    return True


ARCHIVES = (saved(content()), saved(content(test_mse=np.float64(0.5), more=[1, "x", None, (2.5, True)])))
LEGACY = tuple(saved(found, archive=False) for found in (content(), content(test_mse=np.float64(0.5))))
SAFETENSORS = (
    save(weights(), metadata={CONFIG_KEY: json.dumps(CONFIG)}),
    save({key: value.half() for key, value in weights().items()}),
)


@pytest.mark.parametrize(
    ("what", "samples", "suffix"),
    [
        ("checkpoint, archive", ARCHIVES, ".pt"),
        ("checkpoint, legacy", LEGACY, ".pt"),
        ("checkpoint, safetensors", SAFETENSORS, ".safetensors"),
    ],
    ids=["archive", "legacy", "safetensors"],
)
def test_checkpoints(what, samples, suffix, tmp_path):
    path = tmp_path / f"model{suffix}"

    @fuzzed(what, damage(samples))
    def check(data):
        path.write_bytes(data)
        return check_model(path)

    check()


def test_pickles_behind_right_checksums(tmp_path):
    path = tmp_path / "model.pt"
    pickles = []
    for data in ARCHIVES:
        with_pickle(data, lambda found: pickles.append(found) or found)

    @fuzzed("checkpoint, pickle behind right checksums", damage(tuple(pickles)))
    def check(changed):
        path.write_bytes(with_pickle(ARCHIVES[0], lambda _: changed))
        return check_model(path)

    assert check().accepted, "nothing got through: the fuzzing only tests the checksums"


def npz(method: int, **changes: object) -> bytes:
    found = {"images": pictures(), "labels": np.arange(6) % 2, "classes": np.array(["a", "b"]), **changes}
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for key, array in found.items():
            archive.writestr(f"{key}.npy", npy(array))
    return stream.getvalue()


def check_images(path: Path) -> bool:
    images = in_one_line(load_images, str(path))
    if images is None:
        return False
    pixels = images.tensor(0, 2)
    assert torch.isfinite(pixels).all()
    assert pixels.min() >= 0
    assert pixels.max() <= 1
    assert images.labels is None or images.labels.max() < len(images.classes)
    return True


def test_npz(tmp_path):
    path = tmp_path / "set.npz"

    @fuzzed("images, npz", damage((npz(0), npz(8), npz(0, groups=np.arange(6, dtype=">i2")))))
    def check(data):
        path.write_bytes(data)
        return check_images(path)

    check()


def test_arrays_behind_right_checksums(tmp_path):
    path = tmp_path / "set.npz"
    arrays = (npy(pictures()), npy(np.arange(6) % 2), npy(np.array(["a", "b"])))

    keys = st.sampled_from(("images", "labels", "classes", "groups"))

    @fuzzed("images, npy behind right checksums", damage(arrays), keys)
    def check(data, key):
        found = dict(zip(("images", "labels", "classes"), arrays, strict=True)) | {key: data}
        zipped(path, {f"{name}.npy": value for name, value in found.items()})
        return check_images(path)

    assert check().accepted


def test_pictures(tmp_path):
    path = tmp_path / "set" / "m.png"
    names = ("a.jpg", "a.png", "a.ppm", "a.bmp", "a.tif", "a.webp")
    samples = [picture(tmp_path / name).read_bytes() for name in names]
    samples.append(picture(tmp_path / "b.tif", compression="tiff_adobe_deflate").read_bytes())
    path.parent.mkdir()

    @fuzzed("images, pictures", damage(tuple(samples)))
    def check(data):
        path.write_bytes(data)
        images = in_one_line(load_images, str(path.parent), image_size=8)
        read = images and in_one_line(getattr, images, "sha256")
        return read and in_one_line(images.tensor) is not None

    assert check().accepted


def test_companions(tmp_path):
    path, arrays = tmp_path / "m.maps.npz", {"per_image/error": np.zeros((3, 2)), "gallery/x": np.arange(4)}
    companion.write(path, arrays)

    @fuzzed("companion", damage((path.read_bytes(),)))
    def check(data):
        path.write_bytes(data)
        return in_one_line(companion.read, path) is not None

    check()


def test_cifar_pickles():
    @fuzzed("CIFAR-10, pickle", damage(tuple(pickle.dumps(good_batch(2), protocol=p) for p in (0, 2, 4))))
    def check(data):
        return in_one_line(cifar.unpickle, data, "test_batch") is not None

    check()


def test_records(tmp_path):
    path = tmp_path / "results.json"

    samples = tuple(json.dumps(results(), indent=indent).encode() for indent in (None, 1))

    @fuzzed("results.json", damage(samples))
    def check(data):
        path.write_bytes(data)
        return in_one_line(read_results, path) is not None

    assert check().accepted


TOML = (b"[thresholds]\nspatial_cv = 0.2\n", b"[thresholds]\n'class_cosine' = 1e-3 # b\nmode_share = -0x2")


def test_toml(tmp_path):
    path = tmp_path / "thresholds.toml"

    @fuzzed("TOML", damage(TOML))
    def check(data):
        path.write_bytes(data)
        return in_one_line(load_claims, path) is not None

    assert check().accepted


def test_damage_does_damage():
    """Negative control: the changes are seen, and reach the numbers."""
    changed, refused = [], []

    @fuzzed("negative control: torch's own reader", damage((ARCHIVES[0],)))
    def check(data):
        changed.append(data != ARCHIVES[0])
        try:
            refused.append(math.isnan(torch.load(io.BytesIO(data), weights_only=True)["test_mse"]))
        except Exception:
            refused.append(True)
        return not refused[-1]

    check()
    assert sum(changed) > 0.9 * len(changed)
    assert sum(refused) > 0.2 * len(refused)
