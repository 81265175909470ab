"""Files that cost time or memory out of proportion to their size, for every reader."""

from __future__ import annotations

import json
import os
import struct
import zlib
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import payloads
from .cases import CASES, Case, case
from .cases_checkpoints import both, both_formats, with_pickle, write
from .cases_cifar import CIFAR, batch_case, forged
from .cases_images import NPZ, PIL, arrays, image_case
from .cases_records import companion_case, expected, results_case, toml_case, with_subject, with_verdict
from .cases_safetensors import built, entry
from .cases_safetensors import write as write_safetensors
from .samples import SENTINEL, cifar_root, content, header, npy, saved, weights

MEBI = 1 << 20


# --- checkpoints and CIFAR-10's pickles ------------------------------------------------------------------


def put(slot: int) -> bytes:
    return b"q" + bytes([slot])


def get(slot: int) -> bytes:
    return b"h" + bytes([slot])


def key_bomb() -> bytes:
    """A dictionary whose key is a tuple of 900 references to one text of 8 MB."""
    return b"}" + b"(" + payloads.text("x" * 8_000_000) + put(101) + get(101) * 899 + b"tNs"


def encoding_bomb(slot: int = 101) -> bytes:
    """A list of 2,000 times the bytes of one text of 1 MB."""
    call = get(slot + 1) + get(slot) + b"\x85R"
    make = b"]" + payloads.text("x" * MEBI) + put(slot) + b"a" + b"c_codecs\nencode\n" + put(slot + 1) + b"a"
    return make + b"(" + call * 2000 + b"e"


def copying_bomb() -> bytes:
    """A list of 2,000 dictionaries, each made of one list of 20,000 pairs."""
    pairs = b"".join(payloads.text(f"{k}") + b"N\x86" for k in range(20_000))
    call = get(102) + get(101) + b"\x85R"
    make = b"](" + pairs + b"l" + put(101) + b"a" + b"ccollections\nOrderedDict\n" + put(102) + b"a"
    return make + b"(" + call * 2000 + b"e"


def reference_bomb() -> bytes:
    """A list of 100,000 references to a tensor's storage, each read from one list of 700,000 parts."""
    words = payloads.text("storage") + b"ctorch\nFloatStorage\n" + payloads.text("0") + b"NK\1"
    return b"](" + words + b"N" * 700_000 + b"l" + put(101) + b"a(" + (get(101) + b"Q") * 100_000 + b"e"


def in_the_config(loader: str, name: str, says: str, instructions) -> None:
    def make(folder: Path, canary: Path) -> Path:
        found = saved(content(config={**content()["config"], "x": SENTINEL}), archive=loader == "archive")
        change = partial(payloads.implant, sentinel=SENTINEL, instructions=instructions())
        return write(folder, change(found)) if loader == "legacy" else with_pickle(folder, change, found)

    make.__name__ = name
    CASES.append(Case(loader, "memory bomb", make, says))


for loader in both:
    in_the_config(loader, "a key of texts", "a dictionary key of several parts", key_bomb)
    in_the_config(loader, "one text encoded many times", "encodes more text than it has", encoding_bomb)
    in_the_config(loader, "one list made many dictionaries", "no checkpoint", copying_bomb)
    in_the_config(loader, "a reference that is a long list", "no tensor's storage", reference_bomb)
batch_case("one text encoded many times", "memory bomb", "encodes more text than it has",
           lambda _: payloads.alone(encoding_bomb(2)))  # fmt: skip

batch_case("a shape of texts", "memory bomb", CIFAR, lambda _: forged(("x" * 8_000_000,) * 900))


@case("trusted cifar", "memory bomb", "1000 class names, not all different")
def one_name_for_a_thousand_classes(folder: Path, canary: Path) -> Path:
    return cifar_root(folder / "root", meta={"label_names": ["x" * 8_000_000] * 1000})


@case("trusted cifar", "memory bomb", "")
def a_class_name_of_eight_megabytes(folder: Path, canary: Path) -> Path:
    return cifar_root(
        folder / "root", meta={"label_names": [f"{k}" for k in range(9)] + ["\x80" * 8_000_000]}
    )


@both_formats("memory bomb", "a config of over 10,000 entries, 100 characters of text counting as one")
def one_text_many_times_in_the_config():
    return content(config={**content()["config"], "x": ["\U000e0001" * 4000] * 9000})


@both_formats("memory bomb", "a config of over 10,000 entries")
def a_long_key_many_times_in_the_config():
    return content(config={**content()["config"], "x": [{"\U000e0001" * 200: 0}] * 4900})


@both_formats("memory bomb", "nested over 8 deep")
def dictionaries_that_double_thirty_times():
    found: object = 0
    for _ in range(30):
        found = {"a": found, "b": found}
    return content(config={**content()["config"], "x": found})


@both_formats("memory bomb", "a config of over 10,000 entries")
def lists_that_grow_a_hundredfold():
    found: object = 0
    for _ in range(6):
        found = [found] * 100
    return content(config={**content()["config"], "x": found})


@both_formats("wrong content", "a NoneType for a key; expected text")
def a_key_of_nothing():
    return content(config={**content()["config"], None: 1})


@both_formats("memory bomb", "its state dict holds over 10,000 entries")
def many_tensors_of_nothing():
    nothing = torch.zeros(0)
    return content(model_state_dict={**weights(), **{f"{k:x}": nothing for k in range(320_000)}})


@case("safetensors", "memory bomb", "a header of|over 10,000 tensors")
def tensors_of_nothing(folder: Path, canary: Path) -> Path:
    return write_safetensors(folder, built({f"{k}": entry([0], [0, 0]) for k in range(60_000)}))


@case("safetensors", "memory bomb", "a header of")
def a_config_of_five_million_lists(folder: Path, canary: Path) -> Path:
    return write_safetensors(folder, built({"__metadata__": {"config": "[" + "[]," * 5 * MEBI + "0]"}}))


# --- .npz and companions ---------------------------------------------------------------------------------


def repeated(block: bytes, times: int, start: bytes = b"") -> bytes:
    """A deflated stream of ``start`` and so many equal blocks, made without making them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + (packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)) * times + packer.flush()


def deflated(folder: Path, stream: bytes, size: int) -> Path:
    """An .npz whose images are this deflated stream and said to have so many bytes."""
    data = bytearray(arrays(folder, 0, images=stream).read_bytes())
    for signature, method, sizes in ((b"PK\3\4", 8, 22), (b"PK\1\2", 10, 24)):
        at = data.index(signature)
        data[at + method : at + method + 2] = struct.pack("<H", 8)
        data[at + sizes : at + sizes + 4] = struct.pack("<I", size)
    (folder / "set.npz").write_bytes(data)
    return folder / "set.npz"


@case("npz", "memory bomb", r"version \(2, 0\) of the .npy format; expected 1.0")
def a_header_of_two_gigabytes(folder: Path, canary: Path) -> Path:
    start = b"\x93NUMPY\2\0" + struct.pack("<I", 2**31 - 1)
    return deflated(folder, repeated(bytes(MEBI), 2047, start), 100_000_000)


@case("npz", "zip bomb", "unpacks to [0-9,]+ bytes")
def ninety_times_its_size(folder: Path, canary: Path) -> Path:
    block = os.urandom(12_000) + bytes(MEBI - 12_000)
    start = header("(2048, 512, 342, 3)")
    return deflated(folder, repeated(block, 1026, start), 2048 * 512 * 342 * 3 + len(start))


@case("npz", "classes", NPZ)
def classes_beyond_unicode(folder: Path, canary: Path) -> Path:
    names = header("(2,)", "'<U1'") + struct.pack("<II", 0x110000, 2**32 - 1)
    return arrays(folder, labels=np.arange(6) % 2, classes=names)


@case("npz", "classes", "classes are <U1024")
def classes_of_a_hundred_megabytes(folder: Path, canary: Path) -> Path:
    names = np.array([f"{k} " + "\U000e0001" * 1010 for k in range(30_000)], "<U1024")
    return arrays(folder, 0, labels=np.arange(6) % 2, classes=names)


@case("npz", "absurd shape", "labels are")
def labels_of_four_thousand_digits(folder: Path, canary: Path) -> Path:
    return arrays(folder, labels=header(f"({'9' * 4000},)", "'<i8'"))


companion_case("ten thousand arrays", "many members", "has 10,000 arrays",
               lambda _: {f"per_image/{k}.npy": npy(np.zeros(1)) for k in range(10_000)})  # fmt: skip


# --- images ----------------------------------------------------------------------------------------------


def sparse(path: Path, start: bytes, size: int) -> None:
    path.write_bytes(start)
    os.truncate(path, size)


def tiff(path: Path, tags: dict[int, tuple[int, int, int]], data: bytes = b"", size: int = 0) -> None:
    """A TIFF of 16x16 grey pixels with these tags: (type, count, value); its data begin at byte 512."""
    plain = {256: (4, 1, 16), 257: (4, 1, 16), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}
    entries = [struct.pack("<HHII", tag, *found) for tag, found in sorted({**plain, **tags}.items())]
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4)
    path.write_bytes(head.ljust(512, b"\0") + data)
    os.truncate(path, max(size, 512 + len(data)))


def big_tiff(path: Path) -> None:
    entry = struct.pack("<HHQQ", 273, 4, 60_000_000, 512)
    sparse(path, b"II+\0\10\0\0\0" + struct.pack("<QQ", 16, 1) + entry, 250_000_000)


def tiles(side: int):
    pixels = b"\x78\xda" + repeated(bytes(MEBI), side * side // MEBI)
    tile = {322: (4, 1, side), 323: (4, 1, side), 324: (4, 1, 512), 325: (4, 1, len(pixels))}
    return lambda path: tiff(path, {259: (3, 1, 8), **tile}, pixels)


def chunks_without_end(path: Path) -> None:
    chunk = bytes(4) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    head = b"IHDR" + struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    path.write_bytes(start + chunk * 10_000_000)


def a_thousand_scans(path: Path) -> None:
    Image.new("RGB", (8192, 4096)).save(path, "JPEG", progressive=True)
    data = path.read_bytes()[:-2]
    path.write_bytes(data + data[data.rindex(b"\xff\xda") :] * 1000 + b"\xff\xd9")


def resolutions_without_end(path: Path) -> None:
    """The parts of a JPEG's Exif are joined, and its unit of resolution is an array of all that."""
    parts, most = 1500, 0xFFFF - 8
    exif = b"II*\0\10\0\0\0\1\0" + struct.pack("<HHII", 0x0128, 3, parts * most // 2 - 100, 30)
    marker = b"\xff\xe1" + struct.pack(">H", most + 8) + b"Exif\0\0"
    rest = (marker + b"\1" * most) * (parts - 1)
    picture = path.with_suffix(".jpg")
    Image.new("RGB", (9, 9)).save(picture)
    path.write_bytes(b"\xff\xd8" + marker + exif.ljust(most, b"\1") + rest + picture.read_bytes()[20:])
    picture.unlink()


for found in (
    ("a ppm comment without end", "time bomb", PIL, lambda p: sparse(p, b"P6\n#", 250 * MEBI)),
    ("a jpeg of nothing but zeros", "time bomb", PIL, lambda p: sparse(p, b"\xff\xd8\xff\xdb", 250 * MEBI)),
    ("a png of chunks without end", "time bomb", PIL, chunks_without_end),
    ("a jpeg of a thousand scans", "time bomb", "over 100 scans", a_thousand_scans),
    ("sixty million strips", "memory bomb", "a tag of 60,000,000 values",
     lambda p: tiff(p, {273: (4, 60_000_000, 512), 278: (4, 1, 1)}, size=250_000_000)),
    ("sixty million strips in a big tiff", "memory bomb", "a tag of 60,000,000 values", big_tiff),
    ("a tile of a gigapixel", "decompression bomb", "in tiles of 40000x40000", tiles(40_000)),
    ("resolutions without end", "memory bomb", PIL, resolutions_without_end),
    ("the largest picture", "fine", "",
     lambda p: Image.new("RGB", (8192, 4096)).save(p, "WEBP", lossless=True)),
    ("tiles", "fine", "", tiles(1024)),
):  # fmt: skip
    image_case(*found)


# --- records ---------------------------------------------------------------------------------------------

DOTS = b".".join([b"a"] * 40_000)
MANY = "0x" + "f" * 20_000

results_case("fifteen million lists", "memory bomb", "holds over 2,000,000 values",
             lambda: b'{"x":[' + b"[]," * 15_000_000 + b"0]}")  # fmt: skip


def unprintable(part: str) -> bytes:
    """A record with a text of 30 MB that is all escapes once printed."""
    text = "\x7f" * (30 * MEBI)
    found = with_verdict(reason=text) if part == "reason" else with_subject(**{part: text})
    return json.dumps(found, ensure_ascii=False).encode()


for part, says in (("id", "matching regex"), ("reason", "")):
    results_case(f"a huge {part}", "memory bomb", says, partial(unprintable, part))
for found in (
    ("a key of forty thousand dots", "memory bomb", "over 64 dots", b"[thresholds]\n" + DOTS + b" = 1"),
    ("a table of forty thousand dots", "memory bomb", "over 64 dots", b"[" + DOTS + b"]\n"),
    ("a threshold of thousands of bits", "absurd number", "a number of 80000 bits",
     f"[thresholds]\nspatial_cv = {MANY}\n"),
):  # fmt: skip
    toml_case(*found)
toml_case("two expectations of absurd numbers of images", "absurd number", "two entries for",
          expected().replace("60", MANY) * 2, file="expected.toml")  # fmt: skip
