"""Folders of images: torchvision's layout and pixels, wrong layouts, damaged and hostile files."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder

from geolip_theorems.data.imageset import check_labels
from geolip_theorems.data.sources import load_images
from geolip_theorems.io.errors import InputError

MOST_BYTES = 32 << 20  # what refusing a file may take


def picture(path, height=20, width=30, mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(values).convert(mode).save(path)
    return path


@pytest.fixture
def pets(tmp_path):
    """Two classes, files of many kinds and sizes, one of them in a deeper folder."""
    root = tmp_path / "pets"
    picture(root / "dog" / "b.JPG", 33, 18, seed=1)
    picture(root / "dog" / "a.png", mode="RGBA", seed=2)
    picture(root / "dog" / "deep" / "c.bmp", 16, 16, seed=3)
    picture(root / "cat" / "1.png", mode="L", seed=4)
    picture(root / "cat" / "10.tif", mode="CMYK", seed=5)
    picture(root / "cat" / "2.webp", mode="RGB", seed=6)
    picture(root / "cat" / "x.png", mode="P", seed=7)
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / ".hidden.png").write_text("no image")
    (root / ".cache").mkdir()
    return root


def test_classes_order_and_pixels_are_torchvisions(pets):
    steps = transforms.Compose([transforms.Resize(16), transforms.CenterCrop(16), transforms.ToTensor()])
    (pets / "cat" / ".hidden.png").unlink()
    (pets / ".cache").rmdir()
    theirs = ImageFolder(pets, steps)
    ours = load_images(str(pets), image_size=16)
    assert ours.classes == tuple(theirs.classes) == ("cat", "dog")
    assert ours.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]  # interleaved
    for label in (0, 1):
        expected = torch.stack([image for image, its in theirs if its == label])
        assert torch.equal(ours.tensor()[torch.from_numpy(ours.labels == label)], expected)
    assert torch.equal(torch.cat([ours.tensor(0, 3), ours.tensor(3, 7)]), ours.tensor())
    assert (ours.name, ours.source) == ("pets", "folder pets")
    assert ours.preprocessing == "resize16+centercrop16+totensor"
    check_labels(ours)


def test_what_is_transparent_shows_white_and_is_counted(tmp_path):
    """With an alpha channel, in a palette and as one colour of an opaque mode, among opaque pictures."""
    solid = np.random.default_rng(0).integers(1, 256, (16, 16, 3), np.uint8)
    veil = np.random.default_rng(1).integers(0, 256, (16, 16, 1), np.uint8)
    veil[:4], veil[4:8] = 0, 255
    few = Image.fromarray(solid[..., 0] % 4, "P")
    few.putpalette([0, 0, 0, 10, 20, 30, 40, 50, 60, 70, 80, 90])
    flat = np.where(veil > 127, solid, np.uint8(7))  # the colour (7, 7, 7) is no colour of `solid`
    made = {
        "a.png": (solid, solid, {}),
        "b.png": (np.dstack([solid, veil]), 255 + veil / 255 * (solid - 255.0), {}),
        "c.png": (few, np.where((solid[..., :1] % 4) == 2, 255, few.convert("RGB")), {"transparency": 2}),
        "d.png": (flat, np.where(veil > 127, solid, 255), {"transparency": (7, 7, 7)}),
        "e.webp": (np.dstack([solid, veil]), 255 + veil / 255 * (solid - 255.0), {"lossless": True}),
    }
    (tmp_path / "x").mkdir()
    for name, (given, _, how) in made.items():
        image = given if isinstance(given, Image.Image) else Image.fromarray(given)
        image.save(tmp_path / "x" / name, **how)
    images = load_images(str(tmp_path / "x"), image_size=16)
    found = images.tensor().permute(0, 2, 3, 1).numpy() * 255
    assert np.abs(found - [wanted for _, wanted, _ in made.values()]).max() < 1
    assert np.array_equal(found[1, 4:8], solid[4:8]), "opaque pixels stay what they are"
    assert (images.on_white, images.prefix(1).on_white) == (4, 0)


def test_a_flat_folder_is_unlabelled(tmp_path):
    for k in range(4):
        picture(tmp_path / "flat" / f"{k}.png", seed=k)
    images = load_images(str(tmp_path / "flat"), image_size=16, max_images=3)
    assert len(images) == 3
    assert images.labels is images.classes is images.groups is None
    assert images.tensor().shape == (3, 3, 16, 16)


def test_the_hash_is_of_contents_not_of_places(pets, tmp_path):
    before = load_images(str(pets)).sha256
    pets.rename(tmp_path / "moved")
    assert load_images(str(tmp_path / "moved")).sha256 == before
    picture(tmp_path / "moved" / "cat" / "1.png", mode="L", seed=99)
    assert load_images(str(tmp_path / "moved")).sha256 != before


def test_nothing_is_read_before_it_is_asked_for(tmp_path, monkeypatch):
    for k in range(50):
        picture(tmp_path / "many" / f"{k}.png", seed=k)
    opened = []
    real = Image.open
    monkeypatch.setattr(Image, "open", lambda path, **k: opened.append(path) or real(path, **k))
    images = load_images(str(tmp_path / "many"), image_size=16)
    assert not opened
    images.tensor(10, 14)
    assert len(opened) == 4


def test_links_to_images_are_followed(tmp_path):
    original = picture(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(original)
    loaded = load_images(str(tmp_path / "links"), image_size=16)
    assert torch.equal(loaded.tensor(), load_images(str(original.parent), image_size=16).tensor())


# --- wrong layouts ---------------------------------------------------------------------------------


def _nothing(root):
    root.mkdir()


def _no_image(root):
    (root / "cat").mkdir(parents=True)
    (root / "readme.txt").write_text("x")


def _empty_class(root):
    picture(root / "cat" / "1.png")
    (root / "dog").mkdir()


def _mixed(root):
    picture(root / "cat" / "1.png")
    picture(root / "loose.png")


def _circle(root):
    picture(root / "cat" / "1.png")
    (root / "cat" / "again").symlink_to(root, target_is_directory=True)


LAYOUTS = {
    _nothing: "holds no image",
    _no_image: "holds no image",
    _empty_class: "class 'dog' has no image",
    _mixed: r"has images \(loose.png\) beside class folders",
    _circle: "reached twice through symbolic links",
}


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__.strip("_"))
def test_wrong_layouts_are_one_line(make, tmp_path):
    make(tmp_path / "x")
    with pytest.raises(InputError, match=LAYOUTS[make]) as caught:
        load_images(str(tmp_path / "x"))
    assert "\n" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected a folder or an \.npz file"):
        load_images(str(picture(tmp_path / "a.png")))


# --- hostile files ---------------------------------------------------------------------------------


def _png(width, height, colour_type=2, depth=8, data=b"\x00"):
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    packed = zlib.compress(data)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def _truncated(path):
    picture(path, 64, 64)
    path.write_bytes(path.read_bytes()[:-3000])


def _fifo(path):
    os.mkfifo(path)


def _postscript(path):  # Pillow would hand it to Ghostscript
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(x) run\n")


def _bad_name(path):
    picture(path).rename(path.with_name("a\nb\x1b[31m.png"))
    picture(path).write_bytes(b"")
    path.rename(path.with_name("c\nd.png"))


HOSTILE = {
    "empty": (lambda path: path.write_bytes(b""), "not a file of 1 byte"),
    "text": (lambda path: path.write_text("hello"), "cannot be read as an image"),
    "truncated": (_truncated, "cannot be read as an image"),
    "pixels missing": (lambda path: path.write_bytes(_png(64, 64)), "cannot be read as an image"),
    "gigapixels": (lambda path: path.write_bytes(_png(100_000, 100_000)), "cannot be read|at most 32 mega"),
    "50 megapixels": (lambda path: path.write_bytes(_png(10_000, 5_000)), "at most 32 megapixels"),
    "overflowing": (lambda path: path.write_bytes(_png(2**31 - 1, 2**31 - 1)), "cannot be read"),
    "no pixels": (lambda path: path.write_bytes(_png(0, 0)), "cannot be read|at least 4"),
    "1x1": (lambda path: picture(path, 1, 1), "at least 4 pixels"),
    "a ribbon": (lambda path: picture(path, 4, 2000), "at most 32 to 1"),
    "16 bits": (lambda path: Image.fromarray(np.zeros((9, 9), np.uint16)).save(path), "mode I;16"),
    "dangling link": (lambda path: path.symlink_to("nowhere.png"), "cannot be read"),
    "link to itself": (lambda path: path.symlink_to(path.name), "cannot be read"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "not a file of"),
    "pipe": (_fifo, "not a file of"),
    "folder": (lambda path: (path / "x").mkdir(parents=True), "holds no image"),
    "postscript": (_postscript, r"cannot be read as an image \(UnidentifiedImageError"),
    "control characters": (_bad_name, r"c\\nd.png is not a file of"),
}


def look_at_everything(root):
    images = load_images(str(root))
    return images.sha256, images.tensor()


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_one_line(case, tmp_path):
    make, message = HOSTILE[case]
    root = tmp_path / "x"
    root.mkdir()
    make(root / "bad.png")
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=message) as caught:
            look_at_everything(root)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()
    assert str(tmp_path) not in str(caught.value)
    assert peak < MOST_BYTES


@pytest.mark.parametrize("case", ["empty", "text", "50 megapixels", "1x1", "16 bits", "device", "pipe"])
def test_what_is_no_image_is_found_before_any_work(case, tmp_path):
    for name in ("a.png", "c.png"):
        picture(tmp_path / "x" / name)
    HOSTILE[case][0](tmp_path / "x" / "b.png")
    images = load_images(str(tmp_path / "x"))
    with pytest.raises(InputError, match=r"image x/b\.png"):
        images.sha256  # noqa: B018 - a property that reads


def test_a_file_that_became_a_folder_is_one_line(tmp_path):
    path = picture(tmp_path / "x" / "a.png")
    images = load_images(str(tmp_path / "x"))
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError, match=r"image x/a\.png is not a file of"):
        images.tensor()
