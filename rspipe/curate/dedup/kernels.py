# SPDX-License-Identifier: Apache-2.0
"""The compiled loops of the exact search. They know integers, not tiles; `engine` calls them.

Numba compiles a loop when it is first called, in a few seconds, and keeps the result beside this
file (or in the user's cache folder; where neither can be written, each process compiles anew).
All loops run without the interpreter lock, so that plain threads run them side by side, and
none starts threads of its own: Dask workers may call them from any thread.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numpy.typing import NDArray

PADDING = 32
"""Hashes that the loops may read past the last one of an index."""

LANES = 8

_LINE = 64  # bytes of a cache line

Words = NDArray[np.uint64]
Counts = NDArray[np.uint32]
Integer = int | np.signedinteger[Any]
Function = TypeVar("Function", bound=Callable[..., Any])

# 2^64 over the golden ratio: Knuth's multiplicative hash, whose top bits mix all bits below.
_MIX = np.uint64(0x9E3779B97F4A7C15)
_ZERO = np.uint64(0)
_WORD = np.uint64(64)
_HALF_WORD = np.uint64(32)


def _compiled(function: Function) -> Function:
    """Compile on first call, and keep the machine code on disk where a folder can be written."""
    try:
        return cast("Function", numba.njit(nogil=True, cache=True)(function))
    except RuntimeError:  # numba found no folder to cache in
        return cast("Function", numba.njit(nogil=True)(function))


def _generated(function: Callable[..., Any]) -> Callable[..., Any]:
    """Emit a function's instructions by hand: numba's `intrinsic`, which has no types."""
    return cast("Callable[..., Any]", intrinsic(function))


@_generated
def popcount(typingctx: Any, word: Any) -> Any:
    """Set bits of a uint64, by the processor's own instruction where it has one."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), emit


@_generated
def near_eight(typingctx: Any, hashes: Any, position: Any, query: Any, max_bits: Any) -> Any:
    """Which of the eight hashes from `position` on are near: lane t sets bit t.

    Written for vector registers: one load, one xor, one population count, one comparison on a
    processor with AVX-512; the compiler splits it up for others.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array, position, query, max_bits = arguments
        lanes = ir.VectorType(ir.IntType(64), LANES)
        data = context.make_array(signature.args[0])(context, builder, array).data
        address = builder.bitcast(builder.gep(data, [position]), lanes.as_pointer())
        loaded = builder.load(address)
        loaded.align = LANES  # bytes: a hash may start anywhere
        count = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(lanes, [lanes]), f"llvm.ctpop.v{LANES}i64"
        )
        differing = builder.call(count, [builder.xor(loaded, _broadcast(builder, query))])
        near = builder.icmp_unsigned("<=", differing, _broadcast(builder, max_bits))
        return builder.zext(builder.bitcast(near, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(hashes, types.int64, types.uint64, types.uint64), emit


def _broadcast(builder: Any, word: Any) -> Any:
    """The same uint64 in all lanes."""
    index = ir.IntType(32)
    empty = ir.Constant(ir.VectorType(ir.IntType(64), LANES), ir.Undefined)
    first = builder.insert_element(empty, word, ir.Constant(index, 0))
    return builder.shuffle_vector(
        first, empty, ir.Constant(ir.VectorType(index, LANES), [0] * LANES)
    )


@_compiled
def slot_of(hash_: np.uint64, mask: np.uint64, slot_bits: int) -> np.uint64:
    """Slot 0..2^slot_bits - 1 of a hash: equal for hashes that agree under the mask."""
    return ((hash_ & mask) * _MIX) >> (_WORD - np.uint64(slot_bits))


@_compiled
def partition(
    rows: Words,
    columns: tuple[int, int],
    first_row: int,
    mask: np.uint64,
    part_bits: int,
    out: Words,
) -> NDArray[np.int64]:
    """Copy hashes so that those of neighbouring slots lie together: one pass of a radix sort.

    Args:
        rows: (n, C) hashes.
        columns: from which column to before which, of at most 8.
        first_row: number of the first row.
        mask: bits that make the slot.
        part_bits: 2^part_bits parts, by the top bits of the slot; 1..16.
        out: (n × columns, 2), gets the hash and row × 8 + column; in row order within a part.

    Returns:
        (2^part_bits + 1,) where each part starts; the last entry is the end.
    """
    starts = np.zeros((1 << part_bits) + 2, dtype=np.int64)
    for row in range(len(rows)):
        for column in range(columns[0], columns[1]):
            starts[np.int64(slot_of(rows[row, column], mask, part_bits)) + 2] += 1
    for part in range(2, len(starts)):
        starts[part] += starts[part - 1]
    for row in range(len(rows)):
        for column in range(columns[0], columns[1]):
            cursor = np.int64(slot_of(rows[row, column], mask, part_bits)) + 1
            place = starts[cursor]
            out[place, 0] = rows[row, column]
            out[place, 1] = np.uint64((first_row + row) * 8 + column)
            starts[cursor] = place + 1
    return starts[:-1]


@_compiled
def fill_slots(
    entries: Words, mask: np.uint64, slot_bits: int, starts: Counts, hashes: Words, ids: Counts
) -> int:
    """Lay hashes out slot by slot.

    Args:
        entries: (n, 2) from `partition` of a one-column table, whose rows are the ids.
        mask: bits that make the slot.
        slot_bits: 2^slot_bits slots.
        starts: (2^slot_bits + 2,) zeros; gets where each slot starts, in all but the last.
        hashes: (n + PADDING,), gets the hashes.
        ids: (n,), gets their ids.

    Returns:
        The size of the fullest slot.
    """
    for entry in range(len(entries)):
        starts[np.int64(slot_of(entries[entry, 0], mask, slot_bits)) + 2] += np.uint32(1)
    fullest = 0
    for slot in range(2, len(starts)):
        fullest = max(fullest, int(starts[slot]))
        starts[slot] += starts[slot - 1]
    for entry in range(len(entries)):
        cursor = np.int64(slot_of(entries[entry, 0], mask, slot_bits)) + 1
        place = starts[cursor]
        hashes[place] = entries[entry, 0]
        ids[place] = np.uint32(entries[entry, 1] >> np.uint64(3))
        starts[cursor] = place + np.uint32(1)
    return fullest


@_compiled
def _any_near(
    hashes: Words, low: Integer, high: Integer, query: np.uint64, max_bits: np.uint64
) -> bool:
    """Whether a hash of low..high may be near; reads on, so that most slots take no branch."""
    near = near_eight(hashes, low, query, max_bits)
    near |= near_eight(hashes, low + LANES, query, max_bits)
    for ahead in range(low + 2 * LANES, high, LANES):
        near |= near_eight(hashes, ahead, query, max_bits)
    return bool(near != _ZERO)


@_compiled
def _is_first_agreement(differing: np.uint64, masks: Words, key: int) -> bool:
    """Whether two hashes agree under this mask and under none before: they are emitted once."""
    if differing & masks[key] != _ZERO:
        return False
    earlier = 0
    while differing & masks[earlier] != _ZERO:
        earlier += 1
    return earlier == key


@_compiled
def _emit(
    query: np.uint64,
    owner: np.uint64,
    slot: tuple[Integer, Integer],
    index: tuple[Words, Counts],
    key: tuple[Words, int, int],
    max_bits: np.uint64,
    found: Words,
    count: int,
) -> int:
    """Write down the near hashes of one slot; returns the new count."""
    for place in range(slot[0], slot[1]):
        differing = query ^ index[0][place]
        if popcount(differing) <= max_bits and _is_first_agreement(differing, key[0], key[1]):
            found[count, 0] = owner
            found[count, 1] = np.uint64(index[1][place])
            count += 1
    return count


@_compiled
def _read_ahead(starts: Counts, hashes: Words, slots: tuple[Integer, Integer]) -> np.uint64:
    """Read a run of slots in order, so that it is in the cache before it is read at random.

    Returns what nobody needs, so that the reads are not optimised away.
    """
    word = _ZERO
    for slot in range(slots[0], slots[1], _LINE // 4):
        word ^= np.uint64(starts[slot])
    for place in range(starts[slots[0]], starts[slots[1]], _LINE // 8):
        word ^= hashes[place]
    return word


@_compiled
def look_up(
    entries: Words,
    parts: NDArray[np.int64],
    begin: int,
    key: tuple[Words, int, int],
    starts: Counts,
    index: tuple[Words, Counts],
    max_bits: int,
    found: Words,
) -> tuple[int, int, np.uint64]:
    """Find the indexed hashes near each entry, until `found` might not hold the next one's.

    Args:
        entries: (n, 2) from `partition` under the same mask.
        parts: where its parts start.
        begin: where to go on.
        key: all masks (K,), which of them the index is for, and its slot bits.
        starts: from `fill_slots`.
        index: hashes and ids from `fill_slots`.
        max_bits: radius.
        found: (P, 2), gets the entry's second word, and the id. At least the fullest slot long.

    Returns:
        The entry to go on from, how many were found, and a word without meaning.
    """
    mask, radius = key[0][key[1]], np.uint64(max_bits)
    slots_per_part = (len(starts) - 1) // (len(parts) - 1)
    part, part_end, count, ignored = 0, 0, 0, _ZERO
    for entry in range(begin, len(entries)):
        while entry >= part_end:
            if entry < parts[part + 1]:
                slots = part * slots_per_part, (part + 1) * slots_per_part
                ignored ^= _read_ahead(starts, index[0], slots)
            part += 1
            part_end = parts[part]
        query = entries[entry, 0]
        slot = np.int64(slot_of(query, mask, key[2]))
        low, high = np.int64(starts[slot]), np.int64(starts[slot + 1])
        if count + high - low > len(found):
            return entry, count, ignored
        if _any_near(index[0], low, high, query, radius):
            owner = entries[entry, 1]
            count = _emit(query, owner, (low, high), index, key, radius, found, count)
    return len(entries), count, ignored


@_compiled
def pair_up(
    begin: int,
    end: int,
    key: tuple[Words, int, int],
    starts: Counts,
    index: tuple[Words, Counts],
    max_bits: int,
    found: Words,
) -> tuple[int, int]:
    """Find the near pairs within an index, each once; like `look_up`, for places begin..end."""
    mask, radius = key[0][key[1]], np.uint64(max_bits)
    count = 0
    for place in range(begin, end):
        query = index[0][place]
        slot = np.int64(slot_of(query, mask, key[2]))
        high = np.int64(starts[slot + 1])
        if count + high - place > len(found):
            return place, count
        if place + 1 < high and _any_near(index[0], place + 1, high, query, radius):
            owner = np.uint64(index[1][place])
            count = _emit(query, owner, (place + 1, high), index, key, radius, found, count)
    return end, count


@_compiled
def mix_rows(rows: Words, out: Words) -> None:
    """Mix each row of (n, C) into one word of (n, 1): equal rows get equal words."""
    for row in range(len(rows)):
        word = _ZERO
        for column in range(rows.shape[1]):
            word = (word ^ rows[row, column]) * _MIX
            word ^= word >> _HALF_WORD
        out[row, 0] = word


@_compiled
def link_equal_rows(entries: Words, parts: NDArray[np.int64], rows: Words, first: Counts) -> None:
    """Find for each row of (n, C) the first row that equals it.

    Args:
        entries: (n, 2) from `partition` of the mixed rows.
        parts: where its parts start.
        rows: the rows themselves, which decide.
        first: (n,), gets the row number.
    """
    for part in range(len(parts) - 1):
        low, high = parts[part], parts[part + 1]
        size = 2
        while size < 2 * (high - low):
            size *= 2
        table = np.full(size, -1, dtype=np.int64)
        for entry in range(low, high):
            row = np.int64(entries[entry, 1] >> np.uint64(3))
            place = np.int64(entries[entry, 0] & np.uint64(size - 1))
            while True:
                other = table[place]
                if other < 0:
                    table[place] = entry
                    first[row] = np.uint32(row)
                    break
                earlier = np.int64(entries[other, 1] >> np.uint64(3))
                if entries[other, 0] == entries[entry, 0] and _rows_equal(rows, earlier, row):
                    first[row] = np.uint32(earlier)
                    break
                place = (place + 1) & (size - 1)


@_compiled
def _rows_equal(rows: Words, one: Integer, other: Integer) -> bool:
    column = 0
    while column < rows.shape[1] and rows[one, column] == rows[other, column]:
        column += 1
    return bool(column == rows.shape[1])


@_compiled
def list_members(group: NDArray[np.int64], starts: NDArray[np.int64], members: Counts) -> None:
    """Sort row numbers by group, keeping their order within one.

    Args:
        group: (n,) group of each row.
        starts: (G + 1,), where each group is to start; moves on to where it ends.
        members: (n,), gets the row numbers.
    """
    for row in range(len(group)):
        members[starts[group[row]]] = np.uint32(row)
        starts[group[row]] += 1
