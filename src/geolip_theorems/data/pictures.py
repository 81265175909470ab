"""What a picture file may cost, looked at before Pillow reads it.

Pillow checks how many pixels an image has, not what else its file makes a reader do: skip a comment byte by
byte, list millions of strips, unpack a tile larger than the image, decode a JPEG a thousand times over.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from .transforms import LARGEST_PICTURE

# Named, because Pillow would otherwise also try formats that start other programs (EPS: Ghostscript).
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")
MOST_READS = 1_000_000  # of any size; Pillow takes headers and comments byte by byte, pixels by the block
LARGEST_MARKERS = 16 << 20  # bytes of a JPEG or PNG before its pixels; previews take a few million
MOST_SCANS = 100  # of a JPEG, each a pass over all its pixels; a progressive one has about ten
MOST_VALUES = 1 << 17  # of a TIFF's tag; of 32 megapixels every row of every channel may be a strip
TILE_SIDES = (322, 323)  # the TIFF tags of a tile's width and height
BYTE_TYPES = (1, 2, 7)  # TIFF types that stay bytes when read; all others become a number for each value


@contextmanager
def open_picture(path: Path) -> Iterator[Image.Image]:
    """Open an image of one of the ``FORMATS``; its pixels are not decoded yet.

    Raises:
        ValueError: what the file claims would take time or memory beyond the limits above.
        Exception: whatever Pillow raises on damaged files.
    """
    with _Metered(io.FileIO(path)) as file:
        start = file.read(16)
        if start[:2] in (b"\xff\xd8", b"\x89P"):
            file.left = LARGEST_MARKERS
        if start[:2] == b"\xff\xd8":
            # In compressed pixels 0xFF is followed by 0, so that this pair is found by looking for it.
            if sum(block.count(b"\xff\xda") for block in iter(lambda: file.read1(1 << 20), b"")) > MOST_SCANS:
                raise ValueError(f"a JPEG of over {MOST_SCANS} scans")
        elif start[:2] in (b"II", b"MM"):
            _check_tags(file, start, "little" if start[:2] == b"II" else "big")
        file.seek(0)
        image = Image.open(file, formats=FORMATS)
        file.left = math.inf
        yield image


def as_rgb(image: Image.Image) -> Image.Image:
    """A picture in RGB; what is transparent of it, by an alpha channel or a palette, shows white."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    shown, page = image.convert("RGBA"), Image.new("RGB", image.size, "white")
    page.paste(shown, mask=shown)
    return page


class _Metered(io.BufferedReader):
    """A file that gives up when it is read too often, or beyond ``left`` bytes."""

    reads, left = MOST_READS, math.inf

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        self.reads, self.left = self.reads - 1, self.left - len(found)
        if self.reads < 0 or self.left < 0:
            raise ValueError("its header, or what fills it up, has no end")
        return found


def _check_tags(file: _Metered, start: bytes, order: str) -> None:
    """Look at the first directory of a TIFF: no tag of endless values, no tile larger than a picture."""
    large = int.from_bytes(start[2:4], order) == 43  # BigTIFF
    where, width, entry = (start[8:], 8, "HHQ8s") if large else (start[4:8], 4, "HHI4s")
    file.seek(int.from_bytes(where, order))
    count = int.from_bytes(file.read(8 if large else 2), order)
    if count > 0xFFFF:
        raise ValueError(f"a TIFF of {count:,} tags")
    mark = "<" if order == "little" else ">"
    sides = dict.fromkeys(TILE_SIDES, 1)
    for tag, kind, values, field in struct.iter_unpack(mark + entry, file.read(count * (4 + 2 * width))):
        if kind not in BYTE_TYPES and values > MOST_VALUES:
            raise ValueError(f"a TIFF with a tag of {values:,} values, expected at most {MOST_VALUES:,}")
        if tag in TILE_SIDES:  # the larger of two: readers differ on which they take
            number = int.from_bytes(field[: {1: 1, 3: 2}.get(kind, width)], order)
            sides[tag] = max(sides[tag], number)
    if math.prod(sides.values()) > LARGEST_PICTURE:
        raise ValueError(f"a TIFF in tiles of {'x'.join(map(str, sides.values()))} pixels")
