"""Vector instructions across a tile of matrices, one matrix per lane, written out through llvmlite (Numba's).

Numba's own loops leave vectorisation to LLVM, which gives up on long bodies and cannot turn matrices that lie
one after another into lanes. Here a value is a vector from the start. No operation carries a fast-math flag:
nothing is reordered or fused, and each lane performs the operations of reference.py in their order.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from llvmlite import ir
from numba.core import cgutils

FLOAT, DOUBLE = ir.FloatType(), ir.DoubleType()
INT = ir.IntType(64)
BYTE = ir.IntType(8)
ITEM_BYTES = {FLOAT: 4, DOUBLE: 8}


class Vector:
    """An LLVM vector with Python's operators; numbers on either side are repeated in every lane."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def like(self, x: Vector | float) -> Vector:
        if isinstance(x, Vector):
            return x
        lane = self.value.type.element
        number = float(np.float32(x)) if lane == FLOAT else float(x)
        return Vector(self.builder, ir.Constant(self.value.type, [number] * self.value.type.count))

    def call(self, operation: str, *others: Vector | float) -> Vector:
        values = [self.value, *(self.like(x).value for x in others)]
        return Vector(self.builder, getattr(self.builder, operation)(*values))

    def __add__(self, other: Vector | float) -> Vector:
        return self.call("fadd", other)

    def __sub__(self, other: Vector | float) -> Vector:
        return self.call("fsub", other)

    def __rsub__(self, other: float) -> Vector:
        return self.like(other).call("fsub", self)

    def __mul__(self, other: Vector | float) -> Vector:
        return self.call("fmul", other)

    __radd__, __rmul__ = __add__, __mul__

    def __truediv__(self, other: Vector | float) -> Vector:
        return self.call("fdiv", other)

    def __rtruediv__(self, other: float) -> Vector:
        return self.like(other).call("fdiv", self)

    def __neg__(self) -> Vector:
        return self.call("fneg")

    def compare(self, sign: str, other: Vector | float) -> Vector:
        return Vector(self.builder, self.builder.fcmp_ordered(sign, self.value, self.like(other).value))

    def __lt__(self, other: Vector | float) -> Vector:
        return self.compare("<", other)

    def __le__(self, other: Vector | float) -> Vector:
        return self.compare("<=", other)

    def __gt__(self, other: Vector | float) -> Vector:
        return self.compare(">", other)

    def __ge__(self, other: Vector | float) -> Vector:
        return self.compare(">=", other)

    def is_number(self) -> Vector:
        return self.compare("ord", self)

    def __and__(self, other: Vector) -> Vector:
        return self.call("and_", other)

    def __or__(self, other: Vector) -> Vector:
        return self.call("or_", other)

    def __invert__(self) -> Vector:
        return self.call("not_")

    def choose(self, yes: Vector | float, no: Vector | float) -> Vector:
        """yes where this condition holds, no elsewhere; at most one of them a number."""
        yes, no = (yes, yes.like(no)) if isinstance(yes, Vector) else (no.like(yes), no)
        return Vector(self.builder, self.builder.select(self.value, yes.value, no.value))

    def intrinsic(self, name: str) -> Vector:
        kind = self.value.type
        name = f"llvm.{name}.v{kind.count}f{8 * ITEM_BYTES[kind.element]}"
        function = cgutils.get_or_insert_function(self.builder.module, ir.FunctionType(kind, [kind]), name)
        return Vector(self.builder, self.builder.call(function, [self.value]))

    def __abs__(self) -> Vector:
        return self.intrinsic("fabs")

    def sqrt(self) -> Vector:
        return self.intrinsic("sqrt")

    def double(self) -> Vector:
        return Vector(
            self.builder, self.builder.fpext(self.value, ir.VectorType(DOUBLE, self.value.type.count))
        )

    def float(self) -> Vector:
        return Vector(
            self.builder, self.builder.fptrunc(self.value, ir.VectorType(FLOAT, self.value.type.count))
        )


def total(terms: Sequence[Vector] | Iterator[Vector]) -> Vector:
    """The terms added up from first to last."""
    terms = list(terms)
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def pick(sources: Sequence[Vector], places: Sequence[tuple[int, int]]) -> Vector:
    """The vector whose lane t is lane places[t][1] of source places[t][0]."""
    builder, width = sources[0].builder, len(places)

    def shuffle(a: ir.Value, b: ir.Value, mask: list[int]) -> ir.Value:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), width), mask))

    mask = [width * min(source, 1) + lane for source, lane in places]
    result = shuffle(sources[0].value, sources[min(1, len(sources) - 1)].value, mask)
    for k in range(2, len(sources)):
        mask = [width + lane if source == k else t for t, (source, lane) in enumerate(places)]
        result = shuffle(result, sources[k].value, mask)
    return Vector(builder, result)


def smallest_factor(count: int) -> int:
    return next(p for p in range(2, count + 1) if count % p == 0)


def deinterleave(stream: list[Vector]) -> list[Vector]:
    """From records of F numbers one after another, in F vectors, the F fields, one vector each."""
    count = len(stream)
    if count == 1:
        return stream
    p, width = smallest_factor(count), stream[0].value.type.count
    fields = []
    for g in range(p):
        places = [divmod(p * t + g, width) for t in range(width)]
        fields.append(deinterleave([pick(stream[v : v + p], places) for v in range(0, count, p)]))
    return [fields[f % p][f // p] for f in range(count)]


def interleave(fields: list[Vector]) -> list[Vector]:
    """The inverse of deinterleave."""
    count = len(fields)
    if count == 1:
        return fields
    p, width = smallest_factor(count), fields[0].value.type.count
    parts = [interleave(fields[g::p]) for g in range(p)]
    return [
        pick(
            [part[v // p] for part in parts],
            [((v % p * width + t) % p, (v % p * width + t) // p) for t in range(width)],
        )
        for v in range(count)
    ]


class Whole:
    """A whole number known only when the code runs, with Python's operators; the other side may be an int."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def call(self, operation: str, other: Index) -> Whole:
        return Whole(self.builder, getattr(self.builder, operation)(self.value, value_of(other)))

    def __add__(self, other: Index) -> Whole:
        return self.call("add", other)

    def __sub__(self, other: Index) -> Whole:
        return self.call("sub", other)

    def __rsub__(self, other: int) -> Whole:
        return Whole(self.builder, INT(other)).call("sub", self)

    def __mul__(self, other: Index) -> Whole:
        return self.call("mul", other)

    __radd__, __rmul__ = __add__, __mul__


Index = int | Whole


def value_of(x: Index) -> ir.Value:
    return x.value if isinstance(x, Whole) else INT(x)


class Array:
    """Scratch: an array of numbers of which each of `lanes` lanes has its own; on the stack, or in `memory`.

    If shared, it holds the whole tile's lanes and an entry is the current block's part of them; else one
    block's. What is read and written only at places known here, of an array of its own, LLVM keeps in
    registers.
    """

    def __init__(
        self,
        tile: Tile,
        kind: ir.Type,
        shape: tuple[int, ...],
        lanes: int,
        shared: bool,
        memory: ir.Value | None = None,
    ):
        self.tile, self.kind, self.shape, self.lanes, self.shared = tile, kind, shape, lanes, shared
        if memory is None:
            with tile.builder.goto_entry_block():
                whole = tile.builder.alloca(ir.ArrayType(kind, math.prod(shape) * lanes))
                whole.align = 64
                memory = tile.builder.bitcast(whole, kind.as_pointer())
        self.memory = memory

    def pointer(self, index: Index | tuple[Index, ...]) -> ir.Value:
        """Where the current block of an entry lies."""
        builder, tile = self.tile.builder, self.tile
        entry: Index = 0
        for place, size in zip(index if isinstance(index, tuple) else (index,), self.shape, strict=True):
            entry = entry * size + place
        offset = value_of(entry * self.lanes)
        if self.shared:
            offset = builder.add(offset, tile.offset)
        place = builder.gep(self.memory, [offset], inbounds=True)
        return builder.bitcast(place, ir.VectorType(self.kind, tile.width).as_pointer())

    def align(self) -> int:
        return min(64, self.tile.width * ITEM_BYTES[self.kind])

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Vector:
        return Vector(self.tile.builder, self.tile.builder.load(self.pointer(index), align=self.align()))

    def __setitem__(self, index: Index | tuple[Index, ...], vector: Vector) -> None:
        self.tile.builder.store(vector.value, self.pointer(index), align=self.align())


class Mask:
    """One condition a lane, kept in a register; at first it holds nowhere."""

    def __init__(self, tile: Tile):
        self.builder, kind = tile.builder, ir.VectorType(ir.IntType(1), tile.width)
        with self.builder.goto_entry_block():
            self.memory = self.builder.alloca(kind)
        self.builder.store(ir.Constant(kind, None), self.memory)

    def get(self) -> Vector:
        return Vector(self.builder, self.builder.load(self.memory))

    def set(self, condition: Vector) -> None:
        self.builder.store(condition.value, self.memory)


class Tile:
    """Emits the code that works on `lanes` matrices of size n, a block of `width` lanes at a time."""

    def __init__(self, builder: ir.IRBuilder, n: int, lanes: int, row: ir.Value):
        self.builder, self.n, self.lanes = builder, n, lanes
        self.row = row  # the tile's first matrix in the batch
        self.offset, self.width = INT(0), 0

    def array(self, kind: ir.Type, *shape: int) -> Array:
        """Scratch of the whole tile."""
        return Array(self, kind, shape, self.lanes, shared=True)

    def local(self, kind: ir.Type, *shape: int) -> Array:
        """Scratch of the current block."""
        return Array(self, kind, shape, self.width, shared=False)

    def mask(self) -> Mask:
        return Mask(self)

    def entries(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(self.n) for j in range(self.n)]

    @contextlib.contextmanager
    def blocks(self, width: int) -> Iterator[Whole]:
        """Emit once what is inside, as a loop over the tile's blocks of `width` lanes; which block it is."""
        with cgutils.for_range(self.builder, INT(self.lanes // width)) as loop:
            self.offset, self.width = self.builder.mul(loop.index, INT(width)), width
            yield Whole(self.builder, loop.index)
        self.offset, self.width = INT(0), 0

    @contextlib.contextmanager
    def steps(self, start: Index, stop: Index, step: int = 1) -> Iterator[Whole]:
        """Emit once what is inside, as a loop over range(start, stop, step)."""
        start, stop = value_of(start), value_of(stop)
        with cgutils.for_range_slice(self.builder, start, stop, INT(step), inc=True) as (index, _):
            yield Whole(self.builder, index)

    def each_block(self, width: int, emit: Callable[[], None]) -> None:
        """Emit a part for each block, without a loop: independent work side by side."""
        for block in range(self.lanes // width):
            self.offset, self.width = INT(block * width), width
            emit()
        self.offset, self.width = INT(0), 0

    def number(self, kind: ir.Type, x: float) -> Vector:
        return Vector(self.builder, ir.Constant(ir.VectorType(kind, self.width), [x] * self.width))

    def repeated(self, scalar: ir.Value) -> Vector:
        """A scalar in every lane."""
        kind = ir.VectorType(scalar.type, self.width)
        first = self.builder.insert_element(ir.Constant(kind, ir.Undefined), scalar, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.width), [0] * self.width)
        return Vector(self.builder, self.builder.shuffle_vector(first, first, mask))

    def place(self, data: ir.Value, fields: int, vector: int, kind: ir.Type) -> ir.Value:
        row = self.builder.add(self.row, self.offset)
        first = self.builder.add(self.builder.mul(row, INT(fields)), INT(vector * self.width))
        return self.builder.bitcast(
            self.builder.gep(data, [first]), ir.VectorType(kind, self.width).as_pointer()
        )

    def read_rows(self, data: ir.Value, fields: int) -> list[Vector]:
        """The block's rows of a float32 array (B, fields), one vector a field."""
        places = [self.place(data, fields, v, FLOAT) for v in range(fields)]
        return deinterleave([Vector(self.builder, self.builder.load(place, align=4)) for place in places])

    def write_rows(self, data: ir.Value, fields: list[Vector]) -> None:
        """The inverse of read_rows."""
        for v, vector in enumerate(interleave(fields)):
            self.builder.store(vector.value, self.place(data, len(fields), v, FLOAT), align=4)

    @contextlib.contextmanager
    def spans(self, data: ir.Value, fields: int) -> Iterator[tuple[Whole, list[ir.Value]]]:
        """As a loop over spans of at most `width` fields: the first one, and where each row's part lies.

        The last span overlaps the one before where `width` does not divide `fields`.
        """
        builder, count = self.builder, min(self.width, fields)
        row = Whole(builder, builder.add(self.row, self.offset))
        with self.steps(0, fields, self.width) as first:
            last = builder.icmp_signed(">", first.value, INT(fields - count))
            first = Whole(builder, builder.select(last, INT(fields - count), first.value))
            kind = ir.VectorType(FLOAT, count).as_pointer()
            offsets = [(row + lane) * fields + first for lane in range(self.width)]
            yield first, [builder.bitcast(builder.gep(data, [x.value]), kind) for x in offsets]

    def resized(self, vector: Vector, count: int) -> Vector:
        """The first `count` lanes; those beyond the vector's own repeat its last."""
        lanes = [min(t, vector.value.type.count - 1) for t in range(count)]
        mask = ir.Constant(ir.VectorType(ir.IntType(32), count), lanes)
        return Vector(self.builder, self.builder.shuffle_vector(vector.value, vector.value, mask))

    def read_into(self, array: Array, data: ir.Value) -> None:
        """array's entries = the block's rows of a float32 array (B, entries)."""
        fields = math.prod(array.shape)
        with self.spans(data, fields) as (first, places):
            rows = [Vector(self.builder, self.builder.load(place, align=4)) for place in places]
            for t, vector in enumerate(deinterleave([self.resized(row, self.width) for row in rows])):
                if t < fields:
                    array[first + t] = vector

    def write_from(self, array: Array, data: ir.Value) -> None:
        """The inverse of read_into."""
        fields = math.prod(array.shape)
        with self.spans(data, fields) as (first, places):
            entries = [array[first + min(t, fields - 1)] for t in range(self.width)]
            for row, place in zip(interleave(entries), places, strict=True):
                self.builder.store(self.resized(row, min(self.width, fields)).value, place, align=4)
