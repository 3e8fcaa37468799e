# SPDX-License-Identifier: Apache-2.0
"""From matching pairs to what is kept: clusters, and one named survivor for every dropped tile.

A tile is dropped only if it matches a kept tile directly. So chaining (A like B, B like C, but A
unlike C) cannot drop a picture that resembles no survivor; the connected component is recorded
as `cluster_id`, with its size and its diameter, for people to look at.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rspipe.curate.dedup.pairs import NEAR, PIXELS, Flags, Indices, Pairs
from rspipe.curate.dedup.products import product_blocks, ranges

MEASURED_MEMBERS = 64
"""Of clusters up to this size the diameter is taken over all members; larger ones have a lower
bound, the widest matched pair."""

_BLOCK_PAIRS = 1_000_000


@dataclass(frozen=True)
class Clusters:
    """The connected components of matching tiles; M tiles are in one."""

    rows: Indices
    """(M,) rows of the tiles, increasing."""
    label: Indices
    """(M,) the cluster of each, 0 … C - 1."""
    size: Indices
    """(C,) tiles in each cluster."""
    diameter_bits: Indices
    """(C,) largest hash distance of two members, each pair in its best orientation."""


def choose_dropped(pairs: Pairs, rank: Indices) -> Pairs:
    """Choose which tiles go, best first: a tile stays unless it matches one that stays.

    Args:
        pairs: matches. Equal tiles (kind bytes or pixels) are linked to the best of them, and
            near matches hold between those best ones (see `matching.find_duplicates`).
        rank: keep rank per row, smaller is better, all different.

    Returns:
        One pair per dropped tile, sorted by it: `copy` is the dropped tile, `original` the kept
        one. Of several survivors that match, the surer kind is named, then the smaller distance,
        then the better one. What equals a dropped tile goes for the same survivor.
    """
    pairs = pairs.take(~pairs.rejected).best_last(rank)
    equal = pairs.take(pairs.kind <= PIXELS)
    hub = np.arange(len(rank))
    hub[equal.copy] = equal.original
    own = (hub[pairs.copy] == pairs.copy) & (hub[pairs.original] == pairs.original)
    edges = pairs.take(own)
    kept = _keep_greedily(edges, rank)
    reasons = edges.take(kept[edges.original] & ~kept[edges.copy])
    order = np.lexsort((rank[reasons.original], reasons.distance_bits, reasons.kind, reasons.copy))
    first = np.unique(reasons.copy[order], return_index=True)[1]
    dropped = reasons.take(order[first])
    dropped = Pairs.join([dropped, _follow(equal, dropped, len(rank))])
    return dropped.take(np.argsort(dropped.copy))


def _follow(equal: Pairs, dropped: Pairs, count: int) -> Pairs:
    """Send what equals a tile where that tile went."""
    fate = np.full(count, -1, np.int64)
    fate[dropped.copy] = np.arange(len(dropped))
    goes = fate[equal.original] >= 0
    same_reason = dropped.take(fate[equal.original[goes]])
    return Pairs.join(
        [
            equal.take(~goes),
            Pairs.of(
                equal.copy[goes],
                same_reason.original,
                same_reason.kind,
                same_reason.distance_bits,
                same_reason.orientation,
                same_reason.similarity,
            ),
        ]
    )


def _keep_greedily(edges: Pairs, rank: Indices) -> Flags:
    """Visit tiles from best to worst; one is kept unless it has an edge to a kept one.

    Runs in rounds: what has no undecided better neighbour is kept, its neighbours are dropped, and
    those they leave without a better neighbour come next. Every edge is looked at once or twice.
    """
    kept = np.ones(len(rank), np.bool_)
    undecided = np.ones(len(rank), np.bool_)
    order = np.argsort(edges.original, kind="stable")
    worse = edges.copy[order]
    counts = np.bincount(edges.original, minlength=len(rank))
    starts = np.cumsum(counts) - counts
    pending = np.bincount(edges.copy, minlength=len(rank))
    settled = np.unique(edges.original[pending[edges.original] == 0])
    while len(settled):
        undecided[settled] = False
        reached = worse[ranges(starts[settled], counts[settled])]
        gone = np.unique(reached[undecided[reached]])
        kept[gone] = undecided[gone] = False
        freed = worse[ranges(starts[gone], counts[gone])]
        np.subtract.at(pending, freed, 1)
        freed = np.unique(freed)
        settled = freed[(pending[freed] == 0) & undecided[freed]]
    return kept


def find_clusters(pairs: Pairs, hashes: NDArray[np.uint64], orientations: int = 8) -> Clusters:
    """Find the connected components of matching pictures (bytes, pixels, near).

    Crops and footprints are left out: they are known by where they lie, not by what they show.

    Args:
        pairs: matches; rejected ones do not count.
        hashes: uint64 (N, 8), of all rows.
        orientations: 8, or 1 where pictures were compared upright only.
    """
    pairs = pairs.take(~pairs.rejected & (pairs.kind <= NEAR))
    rows, ends = np.unique(np.concatenate([pairs.copy, pairs.original]), return_inverse=True)
    copy, original = ends[: len(pairs)], ends[len(pairs) :]
    graph = coo_array(
        (np.ones(len(pairs), np.int8), (copy, original)), shape=(len(rows), len(rows))
    )
    _, found = connected_components(graph, directed=False)
    label = found.astype(np.int64)
    size = np.bincount(label).astype(np.int64)
    diameter = np.zeros(len(size), np.int64)
    np.maximum.at(diameter, label[copy], pairs.distance_bits.astype(np.int64))
    members = np.argsort(label, kind="stable")
    small = np.flatnonzero(size <= MEASURED_MEMBERS)
    starts = np.cumsum(size) - size
    diameter[small] = 0
    for run, i, j in product_blocks(size[small], size[small], _BLOCK_PAIRS):
        cluster = small[run]
        one = hashes[rows[members[starts[cluster] + i]], 0]
        other = hashes[rows[members[starts[cluster] + j]], :orientations]
        distance = np.bitwise_count(one[:, None] ^ other).min(axis=1)
        np.maximum.at(diameter, cluster, distance.astype(np.int64))
    return Clusters(rows, label, size, diameter)
