"""Pickles that run code, by every instruction that can, and pickles that only cost time or memory."""

from __future__ import annotations

import os
import struct
from pathlib import Path


def text(value: str) -> bytes:
    """Instructions that push a string."""
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def touch(canary: Path) -> bytes:
    return text(f"touch {canary}")


class Runs:
    """Pickles into a call that makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


# Instructions that push one object and, on the way, make the canary.
RUNNING = {
    "os system by REDUCE": lambda canary: b"cos\nsystem\n(" + touch(canary) + b"tR",
    "eval by REDUCE": lambda canary: b"cbuiltins\neval\n(" + text(f"open({str(canary)!r}, 'w')") + b"tR",
    "os system by INST": lambda canary: b"(" + touch(canary) + b"ios\nsystem\n",
    "os system by OBJ": lambda canary: b"(cos\nsystem\n" + touch(canary) + b"o",
    "os system by STACK GLOBAL": lambda canary: (
        text("os") + text("system") + b"\x93(" + touch(canary) + b"tR"
    ),
    "Popen by NEWOBJ and BUILD": lambda canary: (
        b"csubprocess\nPopen\n)\x810csubprocess\ncall\n(" + text("touch") + text(str(canary)) + b"l\x85R"
    ),
    "a chain of getattr": lambda canary: (
        b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(" + text("os") + b"tR" + text("system") + b"tR("
        + touch(canary) + b"tR"
    ),
    "a partial by BUILD": lambda canary: (
        b"cfunctools\npartial\n(cos\nsystem\ntR(cos\nsystem\n(" + touch(canary) + b"t}Ntb)R"
    ),
}  # fmt: skip

# Instructions that push one object, run nothing, and must be refused all the same.
STRANGE = {
    "extension registry": lambda: b"\x82\x01",
    "text persistent id": lambda: b"Psomething\n",
    "numpy load": lambda: b"cnumpy\nload\n",
    "torch hub load": lambda: b"ctorch.hub\nload\n",
    "torch rebuild of a memory bomb": lambda: b"cbuiltins\nbytearray\n\x8a\x06\0\0\0\0\0\x10\x85R",
    "dots in a name": lambda: text("collections") + text("OrderedDict.fromkeys.__globals__") + b"\x93",
    "out of band buffer": lambda: b"\x97",
    "a set": lambda: b"\x8f",
}


def memo_bomb() -> bytes:
    """Slot 2^31 - 1 of the memo: a reader with an array for a memo takes 16 GiB."""
    return text("x") + b"r" + struct.pack("<I", 2**31 - 1)


def hash_bomb(slot: int = 101) -> bytes:
    """A dictionary whose key is a tuple of tuples, 2^40 parts when walked; ``slot`` of the memo is free."""
    put, get = b"q" + bytes([slot]), b"h" + bytes([slot])
    return b"}" + text("x") + put + (get + get + b"\x86" + put) * 40 + b"0" + get + b"Ns"


def huge_number() -> bytes:
    """An integer of 40,000 digits, which cannot even be printed."""
    return b"\x8b" + struct.pack("<i", 16_000) + b"\x7f" * 16_000


def deep() -> bytes:
    """A list in a list, 20,000 deep."""
    return b"]" * 20_000 + b"a" * 19_999


def implant(data: bytes, sentinel: str, instructions: bytes) -> bytes:
    """A pickle with the string ``sentinel`` replaced by what other instructions push."""
    for found in (text(sentinel), b"\x8c" + bytes([len(sentinel)]) + sentinel.encode()):
        if found in data:
            return data.replace(found, instructions, 1)
    raise AssertionError("the sentinel is not there")


def alone(instructions: bytes) -> bytes:
    return b"\x80\x02" + instructions + b"."
