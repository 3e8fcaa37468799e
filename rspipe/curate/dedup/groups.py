# SPDX-License-Identifier: Apache-2.0
"""Equal rows of a hash table: collapsed before the search, so that a million of them cost one.

Rows are mixed into one word each, sorted roughly by it, and compared in full within its
neighbourhood: exact, in one pass over memory, and numbered by first appearance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup import kernels

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

_ROWS_PER_PART = 1 << 14
_MAX_PART_BITS = 11
_ALL_BITS = np.uint64(2**64 - 1)


@dataclass(frozen=True)
class DistinctRows:
    """Which rows of a hash table are equal in every column; G groups of N rows."""

    first: Indices
    """(G,) the first row of each group, increasing."""
    group: Indices
    """(N,) the group of each row: `hashes[first[group]]` equals `hashes`."""

    def members(self) -> "Members":
        """The rows of each group."""
        sizes = np.bincount(self.group, minlength=len(self.first))
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.empty(len(self.group), dtype=np.uint32)
        kernels.list_members(self.group, starts[:-1].copy(), rows)
        return Members(starts, rows)


@dataclass(frozen=True)
class Members:
    """The rows of each of G groups: those of group g are `rows[starts[g] : starts[g + 1]]`."""

    starts: Indices
    """(G + 1,)."""
    rows: NDArray[np.uint32]
    """(N,) increasing within a group."""

    def spread(self, groups: Indices, limit: int) -> Iterator[tuple[Indices, Indices]]:
        """List the rows of many groups, in pieces of about `limit` (one group is never cut).

        Args:
            groups: (P,) groups, repetitions allowed.
            limit: rows per piece.

        Yields:
            position in `groups` (R,) and row (R,), in the order of `groups`.
        """
        counts = self.starts[groups + 1] - self.starts[groups]
        ends = np.cumsum(counts)
        begin = 0
        while begin < len(groups):
            done = ends[begin - 1] if begin else 0
            stop = max(int(np.searchsorted(ends, done + limit, side="right")), begin + 1)
            position = np.repeat(np.arange(begin, stop), counts[begin:stop])
            within = np.arange(len(position)) + done - (ends - counts)[position]
            yield position, self.rows[self.starts[groups[position]] + within].astype(np.int64)
            begin = stop


def distinct_rows(hashes: Hashes) -> DistinctRows:
    """Group the rows of uint64 (N, C) that are equal in all columns."""
    first_equal = np.empty(len(hashes), dtype=np.uint32)
    mixed = np.empty((len(hashes), 1), dtype=np.uint64)
    kernels.mix_rows(hashes, mixed)
    entries = np.empty((len(hashes), 2), dtype=np.uint64)
    parts = kernels.partition(mixed, (0, 1), 0, _ALL_BITS, part_bits(len(hashes)), entries)
    kernels.link_equal_rows(entries, parts, hashes, first_equal)
    is_first = first_equal == np.arange(len(hashes), dtype=np.uint32)
    number = np.cumsum(is_first) - 1
    return DistinctRows(np.flatnonzero(is_first), number[first_equal])


def part_bits(rows: int) -> int:
    """Parts, as a power of two, that leave about 16 thousand rows each: 256 KB stay in cache."""
    return min(max((rows // _ROWS_PER_PART).bit_length(), 1), _MAX_PART_BITS)
