"""Pickles that hold plain data, checked without being run.

A pickle is a program for a stack machine. ``check_pickle`` walks its opcodes and refuses those that data
never needs, and what would cost time or memory out of proportion to the file: memo slots far apart (the
reader allocates all between), tuples of tuples of tuples (hashing or printing one takes the product of
their lengths), tuples as keys, numbers of thousands of digits. What the pickle may name is up to the reader's
``find_class``.
"""

from __future__ import annotations

import io
import pickletools
from typing import Any

MOST_OPCODES = 1_000_000
LARGEST_TUPLE = 1_000  # parts, those of its tuples included
LARGEST_NUMBER = 1 << 128

_MAKING = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "REDUCE", "BUILD", "BINPERSID"}
_SETTING = {"SETITEM", "SETITEMS", "DICT"}
_MEMO_PUTS = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_MEMO_GETS = {"GET", "BINGET", "LONG_BINGET"}
PLAIN = {
    *("PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "GLOBAL", "STACK_GLOBAL", "LIST"),
    *("INT", "LONG", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "APPEND", "APPENDS"),
    *(_MAKING | _SETTING | _MEMO_PUTS | _MEMO_GETS),
}
_MARK = object()


class NotPlainError(ValueError):
    """A pickle is more than plain data; the message says how."""


def check_pickle(stream: io.BytesIO) -> None:
    """Walk one pickle from the stream's position to its end, where the stream is left.

    Raises:
        NotPlainError: see the module. ValueError: it is damaged.
    """
    stack: list[Any] = []  # how many parts a tuple has, 1 for anything else
    memo: dict[int, Any] = {}
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream), 1):
            if opcode.name not in PLAIN:
                raise NotPlainError(f"it has a {opcode.name} instruction, which data does not need")
            if count > MOST_OPCODES:
                raise NotPlainError(f"it has more than {MOST_OPCODES:,} instructions")
            if isinstance(argument, int) and abs(argument) >= LARGEST_NUMBER:
                raise NotPlainError(f"it has a number of {argument.bit_length()} bits")
            _step(opcode, argument, stack, memo, count)
    except NotPlainError:
        raise
    except Exception as error:  # on damaged bytes pickletools raises what its parts happen to raise
        raise ValueError(f"it is truncated or damaged ({type(error).__name__})") from None


class Latin1:
    """``_codecs.encode`` as pickles use it: text to bytes, in all no more than the pickle has.

    One text may be named many times, and each time it is encoded takes its length again.
    """

    def __init__(self, left: int) -> None:
        self.left = left

    def __call__(self, text: str, encoding: str = "latin1") -> bytes:
        self.left -= len(text)
        if self.left < 0:
            raise NotPlainError("it encodes more text than it has")
        return str.encode(text, "latin1")


def _step(opcode: Any, argument: Any, stack: list[Any], memo: dict[int, Any], count: int) -> None:
    if opcode.name in _MEMO_PUTS:
        slot = len(memo) if opcode.name == "MEMOIZE" else argument
        if slot > count:
            raise NotPlainError(f"it puts something into slot {slot} of its memo, instruction {count}")
        if stack[-1] is _MARK:
            raise NotPlainError("it takes a mark for an object")
        memo[slot] = stack[-1]
    elif opcode.name in _MEMO_GETS:
        stack.append(memo[argument])
    else:
        parts = _pop(opcode.stack_before, stack)
        if opcode.name in _SETTING and max(parts[1::2], default=1) > 1:  # value, key, value, key, ..
            raise NotPlainError("it has a dictionary key of several parts; keys are text or numbers")
        made = 1 + sum(parts) if opcode.name in _MAKING else 1
        if made > LARGEST_TUPLE:
            raise NotPlainError(f"it has a tuple of more than {LARGEST_TUPLE:,} parts")
        stack += [_MARK if kind is pickletools.markobject else made for kind in opcode.stack_after]


def _pop(wanted: list[Any], stack: list[Any]) -> list[int]:
    """Take off the stack what an opcode takes: single objects, and all above the topmost mark."""
    parts: list[int] = []
    if pickletools.markobject in wanted:
        while (part := stack.pop()) is not _MARK:
            parts.append(part)
        wanted = wanted[: wanted.index(pickletools.markobject)]
    parts += [stack.pop() for _ in wanted]
    if _MARK in parts:
        raise NotPlainError("it takes a mark for an object")
    return parts
