"""Exact radius search over 64-bit hashes by multi-index hashing: no pair within the radius is lost.

Cut each hash into 4 chunks of 16 bits. Two hashes at most r bits apart differ by at most
floor(r/4) bits in some chunk (pigeonhole), so it is enough to compare hashes that share a chunk
after flipping up to floor(r/4) of its bits.
Source: Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012.
"""

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_CHUNKS = 4
_CHUNK_BITS = 16
_BLOCK_PAIRS = 4_000_000  # candidate pairs compared at a time: bounds memory at about 100 MB

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]


def radius_pairs(
    queries: Hashes, hashes: Hashes, max_bits: int
) -> tuple[Indices, Indices, NDArray[np.int64]]:
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
    return query, index, np.bitwise_count(queries[query] ^ hashes[index]).astype(np.int64)


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
