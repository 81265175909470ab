"""Image sources: .npz files and folders."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from . import payloads
from .cases import CASES, Case, case, not_files
from .samples import header, npy, picture, pictures, zipped

NPZ = "cannot be read as an .npz file"
PIL = "cannot be read as an image"


# --- .npz ------------------------------------------------------------------------------------------------


def arrays(folder: Path, method: int = zipfile.ZIP_DEFLATED, **found: object) -> Path:
    data = {"images": pictures(), **found}
    members = {f"{k}.npy": v if isinstance(v, bytes) else npy(v) for k, v in data.items()}
    return zipped(folder / "set.npz", members, method)


not_files("npz", "set.npz")


@case("npz", "runs code", "images holds Python objects, which are never loaded", runs=True)
def objects_as_images(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=npy(np.array([payloads.Runs(canary)], object), True))


@case("npz", "runs code", "labels holds Python objects, which are never loaded", runs=True)
def objects_as_labels(folder: Path, canary: Path) -> Path:
    return arrays(folder, labels=npy(np.array([payloads.Runs(canary)] * 6, object), True))


@case("npz", "zip bomb", "unpacks to [0-9,]+ bytes, over 2 times its size")
def three_hundred_megabytes_of_zeros(folder: Path, canary: Path) -> Path:
    path, side = folder / "set.npz", 256 * 256 * 3
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("images.npy", "w") as stream,
    ):
        stream.write(header("(1500, 256, 256, 3)"))
        for _ in range(1500):
            stream.write(bytes(side))
    return path


@case("npz", "zip bomb", "unknown array 'inner.npz'")
def an_archive_in_an_archive(folder: Path, canary: Path) -> Path:
    inner = arrays(folder).read_bytes()
    return zipped(folder / "set.npz", {"inner.npz": inner, "images.npy": npy(pictures())})


@case("npz", "zip bomb", "compressed in an unusual way")
def lzma(folder: Path, canary: Path) -> Path:
    return arrays(folder, zipfile.ZIP_LZMA)


@case("npz", "lying sizes", "claim more bytes than it has")
def a_member_of_four_gigabytes_in_its_directory(folder: Path, canary: Path) -> Path:
    shape = "(21845, 256, 256, 3)"
    data = bytearray(arrays(folder, zipfile.ZIP_STORED, images=header(shape)).read_bytes())
    at = data.index(b"PK\x01\x02")
    size = 21845 * 256 * 256 * 3 + len(header(shape))
    data[at + 20 : at + 28] = struct.pack("<II", size & 0xFFFFFFFF, size & 0xFFFFFFFF)
    (folder / "set.npz").write_bytes(data)
    return folder / "set.npz"


@case("npz", "lying sizes", NPZ)
def two_hundred_megabytes_promised_and_not_there(folder: Path, canary: Path) -> Path:
    shape = "(1000, 256, 256, 3)"
    data = bytearray(arrays(folder, images=header(shape)).read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 1000 * 256 * 256 * 3 + len(header(shape)))
    (folder / "set.npz").write_bytes(data)
    return folder / "set.npz"


@case("npz", "absurd shape", "claims .* do not hold")
def a_terabyte_in_its_header(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(1000000, 1000, 1000, 3)"))


@case("npz", "absurd shape", "megapixels|at least 4 pixels|images are")
def two_to_the_sixty(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header(f"({2**60}, {2**60}, {2**60}, 3)"))


@case("npz", "absurd shape", "do not hold|images are|at least 4")
def negative_sides(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(-6, 8, -8, 3)"))


@case("npz", "absurd shape", f"{NPZ}|images are")
def three_thousand_dimensions(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(" + "1," * 3000 + ")"))


@case("npz", "absurd shape", NPZ)
def a_side_of_5000_digits(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(" + "9" * 5000 + ", 8, 8, 3)"))


@case("npz", "header", NPZ)
def a_header_that_ends_in_a_string(folder: Path, canary: Path) -> Path:
    text = b"{'descr': '|u1', 'shape': ((((1, 2\n"
    return arrays(folder, images=b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


@case("npz", "header", NPZ)
def a_header_nested_deep(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(" * 4000 + ")" * 4000))


@case("npz", "header", NPZ)
def code_in_the_header(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header(f"(open({str(canary)!r}, 'w'), 8, 8, 3)"))


@case("npz", "wrong dtype", "images are")
def a_record_dtype_of_a_thousand_fields(folder: Path, canary: Path) -> Path:
    fields = ", ".join(f"('\\x1bf{k}', '|u1')" for k in range(400))
    return arrays(folder, images=header("(6,)", f"[{fields}]"))


@case("npz", "wrong dtype", f"{NPZ}|images are")
def an_array_in_a_dtype(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(6,)", "('|u1', (1000000000, 8, 3))"))


@case("npz", "wrong dtype", "images are complex64")
def complex_images(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=np.zeros((6, 8, 8, 3), np.complex64))


@case("npz", "labels", "labels go from -5")
def labels_out_of_range(folder: Path, canary: Path) -> Path:
    return arrays(folder, labels=np.array([-5, 0, 1, 2, 3, 99]), classes=np.array(["a", "b"]))


@case("npz", "labels", r"labels go up to 18446744073709551615")
def labels_beyond_int64(folder: Path, canary: Path) -> Path:
    return arrays(folder, labels=np.full(6, 2**64 - 1, np.uint64))


@case("npz", "path trick", r"unknown array '\.\./\.\./images'")
def a_member_outside(folder: Path, canary: Path) -> Path:
    return zipped(folder / "set.npz", {"../../images.npy": npy(pictures())})


@case("npz", "path trick", "unknown array '/etc/passwd'")
def an_absolute_member(folder: Path, canary: Path) -> Path:
    return zipped(folder / "set.npz", {"/etc/passwd": npy(pictures())})


@case("npz", "equal names", "two members named 'images.npy'")
def one_name_twice(folder: Path, canary: Path) -> Path:
    with zipfile.ZipFile(folder / "set.npz", "w") as archive:
        archive.writestr("images.npy", npy(pictures()))
        archive.writestr("imagex.npy", npy(pictures()))
    data = (folder / "set.npz").read_bytes().replace(b"imagex.npy", b"images.npy")
    (folder / "set.npz").write_bytes(data)
    return folder / "set.npz"


@case("npz", "fine", "")
def a_nul_after_the_name(folder: Path, canary: Path) -> Path:
    path = zipped(folder / "set.npz", {"images.npy?evil": npy(pictures())})
    path.write_bytes(path.read_bytes().replace(b"images.npy?evil", b"images.npy\0evil"))
    return path


@case("npz", "fine", "")
def fortran_order(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=np.asfortranarray(pictures()))


@case("npz", "fine", "")
def big_endian_labels(folder: Path, canary: Path) -> Path:
    return arrays(folder, labels=(np.arange(6) % 2).astype(">i4"))


@case("npz", "image size", "at least 4 pixels")
def one_pixel(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=np.zeros((6, 1, 1, 3), np.uint8))


@case("npz", "image size", "at most 32 megapixels")
def fifty_megapixels(folder: Path, canary: Path) -> Path:
    return arrays(folder, images=header("(1, 5000, 10000, 3)"))


@case("npz", "truncated", NPZ)
def cut_off(folder: Path, canary: Path) -> Path:
    path = arrays(folder)
    path.write_bytes(path.read_bytes()[:-100])
    return path


@case("npz", "wrong magic", NPZ)
def a_picture(folder: Path, canary: Path) -> Path:
    picture(folder / "a.png").rename(folder / "set.npz")
    return folder / "set.npz"


@case("npz", "encrypted", "'images.npy' is encrypted")
def encrypted(folder: Path, canary: Path) -> Path:
    data = bytearray(arrays(folder).read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    (folder / "set.npz").write_bytes(data)
    return folder / "set.npz"


# --- a folder of images ----------------------------------------------------------------------------------


def image_case(name: str, kind: str, says: str, make) -> None:
    """A folder with one image that ``make`` writes, between two good ones."""

    def folder_of(folder: Path, canary: Path) -> Path:
        for good in ("a.png", "z.png"):
            picture(folder / "set" / good)
        make(folder / "set" / "m.png")
        return folder / "set"

    folder_of.__name__ = name
    CASES.append(Case("folder", kind, folder_of, says))


def png(
    width: int, height: int, colour: int = 2, depth: int = 8, extra: bytes = b"", data: bytes = b"\0"
) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = extra and chunk(b"zTXt", b"x\0\0" + extra)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + body
        + chunk(b"IDAT", zlib.compress(data))
        + chunk(b"IEND", b"")
    )


def grey16(path: Path) -> None:
    Image.fromarray(np.zeros((9, 9), np.uint16)).save(path)


def animated(path: Path) -> None:
    frames = [Image.new("P", (9, 9), k) for k in range(3)]
    frames[0].save(path, "GIF", save_all=True, append_images=frames[1:])


def tiff_of(mode: str):
    return lambda path: Image.new(mode, (9, 9)).save(path, "TIFF")


for entry in (
    ("a gigapixel header", "decompression bomb", "cannot be read|megapixels",
     lambda p: p.write_bytes(png(100_000, 100_000))),
    ("fifty megapixels", "image size", "at most 32 megapixels", lambda p: p.write_bytes(png(10_000, 5_000))),
    ("sides of 2 to the 31", "decompression bomb", PIL, lambda p: p.write_bytes(png(2**31 - 1, 2**31 - 1))),
    ("a text chunk of a gigabyte", "decompression bomb", PIL,
     lambda p: p.write_bytes(png(9, 9, extra=zlib.compress(bytes(64 << 20))))),
    ("one pixel", "image size", "at least 4 pixels", lambda p: picture(p, size=(1, 1))),
    ("a ribbon", "image size", "sides of at most 32 to 1", lambda p: picture(p, size=(4, 2000))),
    ("pixels missing", "truncated", PIL, lambda p: p.write_bytes(png(64, 64))),
    ("sixteen bits of grey", "pixel type", "mode I;16; expected 8 bits", grey16),
    ("floating point", "pixel type", "mode F; expected 8 bits", tiff_of("F")),
    ("thirty two bits", "pixel type", "mode I; expected 8 bits", tiff_of("I")),
    ("an animated gif", "wrong magic", PIL, animated),
    ("postscript", "wrong magic", PIL,
     lambda p: p.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")),
    ("a pickle", "wrong magic", PIL,
     lambda p: p.write_bytes(payloads.alone(b"cos\nsystem\n(X\x01\0\0\0xtR"))),
    ("empty", "empty", "not a file of 1 byte", lambda p: p.write_bytes(b"")),
    ("a pipe", "not a file", "not a file of 1 byte", lambda p: os.mkfifo(p)),
    ("a device", "not a file", "not a file of 1 byte", lambda p: p.symlink_to("/dev/zero")),
    ("a dangling link", "links", PIL, lambda p: p.symlink_to("nowhere.png")),
    ("a link to itself", "links", PIL, lambda p: p.symlink_to(p.name)),
    ("a link to a secret", "links", PIL, lambda p: p.symlink_to("/etc/passwd")),
    ("a name in control characters", "strange name", r"image set/m\\n\\x1b\[31m\.png is not a file of",
     lambda p: p.with_name("m\n\x1b[31m.png").write_bytes(b"")),
    ("a name that is no text", "strange name", r"image set/m\\udcff\.png is not a file of",
     lambda p: Path(os.fsdecode(bytes(p.with_name("m")) + b"\xff.png")).write_bytes(b"")),
    ("a palette with transparency", "fine", "", lambda p: picture(p, "P", transparency=0)),
    ("one bit", "fine", "", lambda p: picture(p, "1")),
    ("grey with alpha", "fine", "", lambda p: picture(p, "LA")),
    ("colour with alpha", "fine", "", lambda p: picture(p, "RGBA")),
    ("cmyk", "fine", "", lambda p: picture(p.with_suffix(".jpg"), "CMYK")),
    ("sixteen bits of colour", "fine", "",
     lambda p: p.write_bytes(png(9, 9, 2, 16, data=(b"\0" + b"\x80\x12" * 27) * 9))),
    ("a link to an image elsewhere", "fine", "",
     lambda p: p.symlink_to(picture(p.parents[1] / "elsewhere" / "b.png"))),
):  # fmt: skip
    image_case(*entry)


@case("folder", "links", "reached twice through symbolic links")
def a_circle(folder: Path, canary: Path) -> Path:
    picture(folder / "set" / "one" / "a.png")
    (folder / "set" / "one" / "again").symlink_to(folder / "set", target_is_directory=True)
    return folder / "set"


@case("folder", "nesting", "over 64 folders deep")
def folders_three_hundred_deep(folder: Path, canary: Path) -> Path:
    picture(folder / "set" / "one" / "a.png")
    os.makedirs(os.path.join(folder, "set", "two", *["d"] * 300))
    return folder / "set"


@case("folder", "unreadable", "set/one/inner cannot be read .Permission denied", more={"as_nobody": True})
def a_folder_nobody_may_read(folder: Path, canary: Path) -> Path:
    picture(folder / "set" / "one" / "a.png")
    picture(folder / "set" / "one" / "inner" / "b.png")
    (folder / "set" / "one" / "inner").chmod(0)
    return folder / "set"


@case("folder", "unreadable", "cannot be read", more={"as_nobody": True})
def an_image_nobody_may_read(folder: Path, canary: Path) -> Path:
    picture(folder / "set" / "a.png").chmod(0)
    return folder / "set"


@case("folder", "not a file", "no such folder")
def a_name_with_nul(folder: Path, canary: Path) -> Path:
    return Path(f"{folder}/set\0.npz")
