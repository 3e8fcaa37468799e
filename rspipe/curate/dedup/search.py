# SPDX-License-Identifier: Apache-2.0
"""Exact radius search over 64-bit hashes in 8 orientations: no pair within the radius is lost.

How: two hashes within the radius agree in all bits of at least one of a few masks (`keys`). For
each mask the copies' own hashes are laid out in slots by their bits under it, and the originals'
hashes of all orientations are streamed past, sorted roughly by slot first so that what they
meet lies in the processor's cache; each is compared with one slot, eight hashes at a time
(`kernels`). A pair is taken at the first mask under which it agrees, so no pair comes twice.

Each direction is searched for itself. A hash is thresholded at the median of its coefficients, and
a flip moves that median: the distance of A to B turned is not always that of B to A turned back.
Only the identity is symmetric, and there one direction is searched and the other is its mirror.

What it costs at N tiles, radius 4: 12 × 8 N look-ups. Beside the input (64 N bytes) it holds about
60 N bytes for the distinct hashes and two indexes, 16 N to build one, 100 MB per core, and the
pairs found: 2.2 GiB in all at 13.2 million. The number of pairs itself can be quadratic: of M
hashes within one ball of the radius, every pair is a match. Equal hashes are the common case of
it, and `grouped_orientation_pairs` collapses them; for the rest `iter_orientation_pairs` bounds
the memory. A set made to share the bits of one key and no others would cost quadratic time
without a match; real tiles fill the slots some two times less evenly than random hashes do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.engine import MAX_ROWS, Packed, Search, unpack
from rspipe.curate.dedup.groups import DistinctRows, Hashes, Indices, distinct_rows
from rspipe.schema import ORIENTATIONS

Bits = NDArray[np.uint8]


@dataclass(frozen=True)
class Matches:
    """Pairs of tiles whose hashes are close once the original is turned; P of them.

    Sorted by copy, then original, then orientation; no pair stands twice with one orientation.
    """

    copy: Indices
    """(P,) row of `queries`."""
    original: Indices
    """(P,) row of `hashes` (of `queries` where a set is searched against itself)."""
    orientation: NDArray[np.uint8]
    """(P,) index in `schema.ORIENTATIONS`: what was done to the original to get the copy."""
    distance_bits: Bits
    """(P,) bits in which the copy's own hash and the turned original's differ."""

    def __len__(self) -> int:
        return len(self.copy)


@dataclass(frozen=True)
class GroupedMatches:
    """Matches within one set without the quadratic pairs between rows that are equal.

    Rows i and j of different groups match exactly as the first rows of their groups do. No pair
    within a group is listed: all its rows match in the identity at distance 0, and in orientation
    k where the group's hash 0 is near its hash k (a picture that looks like itself turned).
    """

    rows: DistinctRows
    matches: Matches
    """Between first rows; `copy` and `original` are rows of the whole set, not group numbers."""


def orientation_pairs(
    queries: Hashes,
    hashes: Hashes | None = None,
    max_bits: int = 4,
    *,
    orientations: int = 8,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> Matches:
    """Find every (copy, original, orientation) at most `max_bits` apart.

    That is every (i, j, k) with popcount(queries[i, 0] ^ hashes[j, k]) <= max_bits; where a set is
    searched against itself (`hashes` is None) those with i != j, so that a pair stands in both
    directions, each with the orientations that hold in that direction.

    Args:
        queries: uint64 (Q, 8), hashes in the order of `schema.ORIENTATIONS`; fewer columns do
            where fewer are asked for.
        hashes: uint64 (N, 8), the originals; None searches `queries` against itself.
        max_bits: radius, inclusive, in bits, 0..16.
        orientations: how many of them, from the first on: 8, or 1 for the identity alone.
        threads: cores to use; None takes all. The result does not depend on it.
        progress: called now and then with the share of the work done, 0..1.

    Raises:
        ValueError: a radius or a number of orientations out of range, a table of another shape or
            type, or more than 2^28 rows.
    """
    found = list(_matches(queries, hashes, max_bits, orientations, threads, progress))
    return _sorted_matches(found)


def iter_orientation_pairs(
    queries: Hashes,
    hashes: Hashes | None = None,
    max_bits: int = 4,
    *,
    orientations: int = 8,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
    chunk_pairs: int = 4_000_000,
) -> Iterator[Matches]:
    """Yield what `orientation_pairs` returns in blocks of about `chunk_pairs`: bounded memory.

    Every match stands in one block; a block is sorted, the whole is not. The blocks do not depend
    on the number of threads. To count matches without keeping them, sum the blocks' lengths.
    """
    waiting: list[Packed] = []
    for piece in _matches(queries, hashes, max_bits, orientations, threads, progress):
        waiting.append(piece)
        if sum(map(len, waiting)) >= chunk_pairs:
            yield _sorted_matches(waiting)
            waiting = []
    if waiting:
        yield _sorted_matches(waiting)


def grouped_orientation_pairs(
    hashes: Hashes,
    max_bits: int = 4,
    *,
    orientations: int = 8,
    threads: int | None = None,
    progress: Callable[[float], object] | None = None,
) -> GroupedMatches:
    """Search a set against itself, equal rows collapsed first: a million equal ones cost nothing.

    Two sets are searched so with `distinct_rows` of each, and `orientation_pairs` between
    the first rows. See `orientation_pairs` for the arguments.
    """
    _check_table("hashes", hashes, orientations)
    hashes = np.ascontiguousarray(hashes[:, :orientations])
    rows = distinct_rows(hashes)
    found = orientation_pairs(
        hashes if len(rows.first) == len(hashes) else hashes[rows.first],
        None,
        max_bits,
        orientations=orientations,
        threads=threads,
        progress=progress,
    )
    matches = Matches(
        rows.first[found.copy], rows.first[found.original], found.orientation, found.distance_bits
    )
    return GroupedMatches(rows, matches)


def _matches(
    queries: Hashes,
    hashes: Hashes | None,
    max_bits: int,
    orientations: int,
    threads: int | None,
    progress: Callable[[float], object] | None,
) -> Iterator[Packed]:
    originals = queries if hashes is None else hashes
    if not 1 <= orientations <= len(ORIENTATIONS):
        raise ValueError(f"orientations={orientations}: there are 1..{len(ORIENTATIONS)}")
    _check_table("queries", queries, orientations)
    _check_table("hashes", originals, orientations)
    search = Search(
        np.ascontiguousarray(queries[:, 0]),
        np.ascontiguousarray(originals[:, :orientations]),
        within=hashes is None,
        max_bits=max_bits,
        threads=threads or numba.config.NUMBA_NUM_THREADS,
    )
    yield from search.run(progress or (lambda share: None))


def _check_table(name: str, table: Hashes, orientations: int) -> None:
    if table.ndim != 2 or table.dtype != np.uint64 or table.shape[1] < orientations:
        raise ValueError(
            f"{name}: want uint64 (N, {orientations} or more), got {table.dtype} {table.shape}"
        )
    if len(table) > MAX_ROWS:
        raise ValueError(f"{name}: {len(table)} rows; split the set, {MAX_ROWS} go at a time")


def _sorted_matches(found: list[Packed]) -> Matches:
    packed = np.concatenate([*found, np.empty(0, dtype=np.uint64)])
    packed.sort()
    return Matches(*unpack(packed))
