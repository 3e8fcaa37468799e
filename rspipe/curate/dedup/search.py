"""Exact radius search over 64-bit hashes by multi-index hashing: no pair within the radius is lost.

Cut each hash into 4 chunks of 16 bits. Two hashes at most r bits apart differ by at most
floor(r/4) bits in some chunk (pigeonhole), so it is enough to compare hashes that share a chunk
after flipping up to floor(r/4) of its bits.
Source: Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_CHUNKS = 4
_CHUNK_BITS = 16
_BLOCK_PAIRS = 4_000_000  # candidate pairs compared at a time: bounds memory at about 100 MB

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]
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
class DistinctRows:
    """Which rows of a hash table are equal in every orientation; G groups of N rows."""

    first: Indices
    """(G,) the first row of each group, increasing."""
    group: Indices
    """(N,) the group of each row: `hashes[first[group]]` equals `hashes`."""


@dataclass(frozen=True)
class GroupedMatches:
    """Matches within one set without the quadratic pairs between rows that are equal.

    Rows i and j of different groups match exactly as the first rows of their groups do. Rows of
    one group are identity matches at distance 0, and no pair of them is listed.
    """

    rows: DistinctRows
    matches: Matches
    """Between first rows; `copy` and `original` are rows of the whole set, not group numbers."""


def orientation_pairs(
    queries: Hashes, hashes: Hashes | None = None, max_bits: int = 4, *, orientations: int = 8
) -> Matches:
    """Find every (copy, original, orientation) at most `max_bits` apart.

    That is every (i, j, k) with popcount(queries[i, 0] ^ hashes[j, k]) <= max_bits; where a set is
    searched against itself (`hashes` is None) those with i != j, so that a pair stands in both
    directions, each with the orientations that hold in that direction.

    Args:
        queries: uint64 (Q, 8), hashes in the order of `schema.ORIENTATIONS`.
        hashes: uint64 (N, 8), the originals; None searches `queries` against itself.
        max_bits: radius, inclusive, in bits, 0..16.
        orientations: 8, or 1 for the identity alone.
    """
    originals = queries if hashes is None else hashes
    parts = []
    for k in range(orientations):
        original, copy, bits = radius_pairs(originals[:, k], queries[:, 0], max_bits)
        keep = original != copy if hashes is None else np.ones(len(copy), dtype=bool)
        turned = np.full(int(keep.sum()), k, dtype=np.uint8)
        parts.append((copy[keep], original[keep], turned, bits[keep]))
    copy, original, orientation, bits = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    order = np.lexsort((orientation, original, copy))
    return Matches(copy[order], original[order], orientation[order], bits[order])


def iter_orientation_pairs(
    queries: Hashes,
    hashes: Hashes | None = None,
    max_bits: int = 4,
    *,
    orientations: int = 8,
    chunk_pairs: int = 4_000_000,
) -> Iterator[Matches]:
    """Yield what `orientation_pairs` returns in blocks of about `chunk_pairs`: bounded memory.

    Every match stands in one block; a block is sorted, the whole is not. The blocks do not depend
    on the number of threads.
    """
    found = orientation_pairs(queries, hashes, max_bits, orientations=orientations)
    for start in range(0, len(found), chunk_pairs):
        part = slice(start, start + chunk_pairs)
        yield Matches(
            found.copy[part],
            found.original[part],
            found.orientation[part],
            found.distance_bits[part],
        )


def grouped_orientation_pairs(
    hashes: Hashes, max_bits: int = 4, *, orientations: int = 8
) -> GroupedMatches:
    """Search a set against itself, equal rows collapsed first: a million equal ones cost nothing.

    Two sets are searched so with `distinct_rows` of each, and `orientation_pairs` between
    the first rows.
    """
    rows = distinct_rows(hashes)
    found = orientation_pairs(hashes[rows.first], None, max_bits, orientations=orientations)
    matches = Matches(
        rows.first[found.copy], rows.first[found.original], found.orientation, found.distance_bits
    )
    return GroupedMatches(rows, matches)


def distinct_rows(hashes: Hashes) -> DistinctRows:
    """Group the rows of uint64 (N, 8) that are equal in all orientations."""
    _, first, group = np.unique(hashes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int64)
    rank[order] = np.arange(len(first))
    return DistinctRows(first[order], rank[group.reshape(-1)])


def radius_pairs(queries: Hashes, hashes: Hashes, max_bits: int) -> tuple[Indices, Indices, Bits]:
    """Find all pairs (query, hash) at most `max_bits` apart.

    Args:
        queries: uint64 (Q,).
        hashes: uint64 (N,), the side that is indexed.
        max_bits: radius, inclusive, in bits.

    Returns:
        query index (P,), hash index (P,) and distance in bits (P,), sorted by query, then hash.
    """
    masks = _flip_masks(max_bits // _CHUNKS)
    found = [
        pairs
        for chunk in range(_CHUNKS)
        for pairs in _pairs_by_chunk(queries, hashes, chunk, masks, max_bits)
    ]
    keys = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.int64)
    query, index = np.divmod(keys, max(len(hashes), 1))
    return query, index, np.bitwise_count(queries[query] ^ hashes[index])


def _flip_masks(max_flips: int) -> list[int]:
    """All 16-bit masks with at most `max_flips` set bits."""
    return [
        sum(1 << bit for bit in bits)
        for count in range(max_flips + 1)
        for bits in combinations(range(_CHUNK_BITS), count)
    ]


def _chunk_of(hashes: Hashes, chunk: int) -> NDArray[np.uint16]:
    return ((hashes >> np.uint64(chunk * _CHUNK_BITS)) & np.uint64(0xFFFF)).astype(np.uint16)


def _pairs_by_chunk(
    queries: Hashes, hashes: Hashes, chunk: int, masks: list[int], max_bits: int
) -> Iterator[Indices]:
    """Pairs within the radius that share one chunk after a flip; as query * N + index."""
    keys = _chunk_of(hashes, chunk)
    order = np.argsort(keys, kind="stable")
    sorted_keys = keys[order]
    own = _chunk_of(queries, chunk)
    for mask in masks:
        wanted = own ^ np.uint16(mask)
        starts = np.searchsorted(sorted_keys, wanted, side="left")
        counts = np.searchsorted(sorted_keys, wanted, side="right") - starts
        for block in _blocks(counts):
            query = np.repeat(np.arange(block.start, block.stop), counts[block])
            first = np.repeat(np.cumsum(counts[block]) - counts[block], counts[block])
            index = order[starts[query] + np.arange(len(query)) - first]
            near = np.bitwise_count(queries[query] ^ hashes[index]) <= max_bits
            yield query[near] * len(hashes) + index[near]


def _blocks(counts: Indices) -> list[slice]:
    """Cut queries into runs whose candidates fit one block."""
    ends = np.cumsum(counts)
    blocks, start = [], 0
    while start < len(counts):
        done = ends[start - 1] if start else 0
        stop = int(np.searchsorted(ends, done + _BLOCK_PAIRS, side="right"))
        stop = max(stop, start + 1)
        blocks.append(slice(start, stop))
        start = stop
    return blocks
