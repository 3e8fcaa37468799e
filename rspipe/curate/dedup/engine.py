# SPDX-License-Identifier: Apache-2.0
"""One exact search at work: an index per mask, originals streamed past it, threads side by side.

Numbers in here: a *row* is a tile's place in its table, a *value* one of the distinct hashes of
the copies, an *owner* is row × 8 + orientation of an original.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup import kernels
from rspipe.curate.dedup.groups import Hashes, Indices, distinct_rows, part_bits
from rspipe.curate.dedup.keys import agreement_masks

Packed = NDArray[np.uint64]
"""Matches, one word each, which sort by copy, original and orientation; see `unpack`."""

MAX_ROWS = 1 << 28

_COPY, _ORIGINAL, _ORIENTATION = np.uint64(36), np.uint64(8), np.uint64(5)  # shifts
_ROW, _COLUMN, _DISTANCE = np.uint64(MAX_ROWS - 1), np.uint64(7), np.uint64(31)
_THREE = np.uint64(3)

_VALUES_PER_SLOT = 3  # sixteen are compared at once: few slots need another step
_SLICES, _MIN_SLICE_ROWS, _MAX_SLICE_ROWS = 16, 1 << 14, 1 << 20
_STEP_PAIRS = 1 << 18  # pairs that a task hands over at a time


@dataclass(frozen=True)
class Index:
    """The distinct hashes of the copies, laid out by their bits under one mask."""

    key: tuple[Hashes, int, int]
    """All masks, which of them, and slot bits."""
    starts: NDArray[np.uint32]
    """Where each slot starts."""
    values: tuple[Hashes, NDArray[np.uint32]]
    """The hashes slot by slot (padded), and which values they are."""
    step_pairs: int
    """As many pairs as a task hands over; at least those of the fullest slot."""


class _Buffers:
    """Memory for the entries of `kernels.partition`, lent again: fresh pages cost time."""

    def __init__(self, entries: int) -> None:
        self._entries = entries
        self._free: SimpleQueue[Hashes] = SimpleQueue()

    @contextmanager
    def lend(self, count: int) -> Iterator[Hashes]:
        """A buffer of `count` entries, uint64 (count, 2), until the block is left."""
        try:
            buffer = self._free.get_nowait()
        except Empty:
            buffer = np.empty((self._entries, 2), dtype=np.uint64)
        yield buffer[:count]
        self._free.put(buffer)


class Search:
    """Everything within a radius, of copies against turned originals.

    Args:
        copies: (Q,) the copies' own hashes.
        originals: (N, C) the originals' hashes in C orientations.
        within: both are one set: a tile is not its own copy.
        max_bits: radius.
        threads: how many to use.
    """

    def __init__(
        self, copies: Hashes, originals: Hashes, *, within: bool, max_bits: int, threads: int
    ) -> None:
        self.copies, self.originals, self.within = copies, originals, within
        self.max_bits, self.threads = max_bits, threads
        distinct = distinct_rows(copies[:, None])
        self.values = copies[distinct.first]
        self.members = distinct.members()
        self.masks = agreement_masks(max_bits, len(self.values), originals.size)
        rows = len(originals) // _SLICES
        self._slice_rows = min(max(rows, _MIN_SLICE_ROWS), _MAX_SLICE_ROWS)
        self._value_entries = _Buffers(len(self.values))
        self._slice_entries = _Buffers(self._slice_rows * originals.shape[1])

    def run(self, progress: Callable[[float], object]) -> Iterator[Packed]:
        """Yield the matches in pieces; which ones and in which order does not depend on threads."""
        if self.within:
            yield from self._equal_values()
        columns = self._columns()
        slices: Sequence[int] = (
            range(0, len(self.originals), self._slice_rows) if columns[0] < columns[1] else ()
        )
        tasks = len(self.masks) * (self.within + len(slices))
        done = 0
        pool = ThreadPoolExecutor(self.threads)
        try:
            for found in _in_order(pool, self._tasks(pool, slices), self.threads + 1):
                if found is None:
                    done += 1
                    progress(done / tasks)
                else:
                    yield found
        finally:
            pool.shutdown(cancel_futures=True)

    def _tasks(self, pool: ThreadPoolExecutor, slices: Sequence[int]) -> Iterator[Iterator[Packed]]:
        """The work in order; the next mask's index is built while one is in use."""
        builds = [partial(self._build, number) for number in range(len(self.masks))]
        if not slices:
            yield from map(self._pair_up, builds if self.within else ())
            return
        following = pool.submit(builds[0])
        for number in range(len(builds)):
            index = following.result
            if number + 1 < len(builds):
                following = pool.submit(builds[number + 1])
            if self.within:
                yield self._pair_up(index)
            for first in slices:
                yield self._look_up(index, first)

    def _build(self, number: int) -> Index:
        """Lay out the values by their bits under one mask."""
        count, mask = len(self.values), self.masks[number]
        slot_bits = max((count // _VALUES_PER_SLOT).bit_length(), 1)
        starts = np.zeros((1 << slot_bits) + 2, dtype=np.uint32)
        hashes = np.zeros(count + kernels.PADDING, dtype=np.uint64)
        ids = np.empty(count, dtype=np.uint32)
        with self._value_entries.lend(count) as entries:
            kernels.partition(
                self.values[:, None], (0, 1), 0, mask, self._part_bits(slot_bits), entries
            )
            fullest = kernels.fill_slots(entries, mask, slot_bits, starts, hashes, ids)
        key = (self.masks, number, slot_bits)
        return Index(key, starts[:-1], (hashes, ids), max(fullest, _STEP_PAIRS))

    def _columns(self) -> tuple[int, int]:
        """From which orientation to before which originals are looked up.

        Within one set the identity is not: `_pair_up` finds it, each pair once.
        """
        return (1 if self.within else 0, self.originals.shape[1])

    def _part_bits(self, slot_bits: int) -> int:
        return min(part_bits(len(self.values)), slot_bits)

    def _look_up(self, built: Callable[[], Index], first: int) -> Iterator[Packed]:
        """Matches of a slice of the originals under one mask."""
        index = built()
        rows = self.originals[first : first + self._slice_rows]
        columns = self._columns()
        mask, bits = self.masks[index.key[1]], self._part_bits(index.key[2])
        found = np.empty((index.step_pairs, 2), dtype=np.uint64)
        with self._slice_entries.lend(len(rows) * (columns[1] - columns[0])) as entries:
            parts = kernels.partition(rows, columns, first, mask, bits, entries)
            begin = 0
            while begin < len(entries):
                begin, pairs, _ = kernels.look_up(
                    *(entries, parts, begin),
                    *(index.key, index.starts, index.values),
                    *(self.max_bits, found),
                )
                yield from self._expand(found[:pairs, 0], found[:pairs, 1].astype(np.int64))

    def _pair_up(self, built: Callable[[], Index]) -> Iterator[Packed]:
        """Identity matches between the values of one set, under one mask, in both directions."""
        index = built()
        found = np.empty((index.step_pairs, 2), dtype=np.uint64)
        begin, count = 0, len(self.values)
        while begin < count:
            begin, pairs = kernels.pair_up(
                begin, count, index.key, index.starts, index.values, self.max_bits, found
            )
            one, other = found[:pairs].T.astype(np.int64)
            yield from self._match_values(one, other)
            yield from self._match_values(other, one)

    def _equal_values(self) -> Iterator[Packed]:
        """Identity matches between rows with one value: distance 0."""
        repeated = np.flatnonzero(np.diff(self.members.starts) > 1)
        yield from self._match_values(repeated, repeated)

    def _match_values(self, originals: Indices, copies: Indices) -> Iterator[Packed]:
        """Identity matches of all rows with a value and all rows with another."""
        for which, row in self.members.spread(originals, _STEP_PAIRS):
            yield from self._expand(row.astype(np.uint64) << _THREE, copies[which])

    def _expand(self, owners: Hashes, values: Indices) -> Iterator[Packed]:
        """Matches of originals and the rows that have the values found near them."""
        for which, copy in self.members.spread(values, _STEP_PAIRS):
            owner = owners[which]
            original, column = (owner >> _THREE).astype(np.int64), owner & _COLUMN
            distance = np.bitwise_count(self.copies[copy] ^ self.originals[original, column])
            packed = (
                (copy.astype(np.uint64) << _COPY)
                | (original.astype(np.uint64) << _ORIGINAL)
                | (column << _ORIENTATION)
                | distance
            )
            yield packed[copy != original] if self.within else packed


def unpack(matches: Packed) -> tuple[Indices, Indices, NDArray[np.uint8], NDArray[np.uint8]]:
    """Copy row, original row, orientation and distance in bits of packed matches."""
    return (
        (matches >> _COPY).astype(np.int64),
        (matches >> _ORIGINAL & _ROW).astype(np.int64),
        (matches >> _ORIENTATION & _COLUMN).astype(np.uint8),
        (matches & _DISTANCE).astype(np.uint8),
    )


def _in_order(
    pool: ThreadPoolExecutor, tasks: Iterator[Iterator[Packed]], ahead: int
) -> Iterator[Packed | None]:
    """Advance tasks in a pool, and yield what they yield in their order; None ends each.

    At most `ahead` tasks are begun and unfinished, each with one piece ready.
    """
    begun: deque[tuple[Iterator[Packed], Future[Packed | None]]] = deque()
    for task in tasks:
        begun.append((task, pool.submit(next, task, None)))
        if len(begun) >= ahead:
            yield from _drain(pool, *begun.popleft())
    while begun:
        yield from _drain(pool, *begun.popleft())


def _drain(
    pool: ThreadPoolExecutor, task: Iterator[Packed], step: Future[Packed | None]
) -> Iterator[Packed | None]:
    while (found := step.result()) is not None:
        step = pool.submit(next, task, None)
        yield found
    yield None
