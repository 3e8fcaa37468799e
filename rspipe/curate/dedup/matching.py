# SPDX-License-Identifier: Apache-2.0
"""Find the pairs of tiles that are the same picture: by bytes, by pixels, or nearly.

One set of rules serves deduplication (a table against itself) and leakage (a corpus against
benchmarks), so both mean the same by "the same picture".
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.frames import MIRRORS
from rspipe.curate.dedup.near import COMPARED_PER_TILE, NearRule, near_between, near_within
from rspipe.curate.dedup.pairs import BYTES, NEAR, PIXELS, Flags, Indices, Pairs
from rspipe.curate.dedup.places import shared_footprints
from rspipe.curate.dedup.products import product_blocks
from rspipe.curate.dedup.shifts import look_again
from rspipe.curate.dedup.tiles import Tiles
from rspipe.curate.progress import Progress, quiet
from rspipe.schema import ORIENTATIONS

_BLOCK_PAIRS = 1_000_000


def find_duplicates(
    tiles: Tiles,
    config: DedupConfig,
    rank: Indices,
    *,
    active: Flags | None = None,
    rejected: bool = False,
    compared_per_tile: int = COMPARED_PER_TILE,
    progress: Progress = quiet,
) -> Pairs:
    """Find the pairs within one set, as `clusters.choose_dropped` wants them.

    Tiles with equal pixels are linked to the best-ranked of them; near matches are searched among
    those best ones only, so that thousands of equal tiles cost no more than one.

    Args:
        tiles: the tiles.
        config: what counts as the same picture.
        rank: keep rank per tile, smaller is better, all different.
        active: which tiles take part; None: all that are no parents.
        rejected: also list the pairs that close hashes proposed and the pixels refused.
        compared_per_tile: see `near.COMPARED_PER_TILE`.
        progress: told of the search.

    Returns:
        Pairs whose original is the better-ranked of the two, each once, sorted by kind, copy and
        original. Pixels are those that were measured; see `honest_kinds`.
    """
    chosen = np.flatnonzero(~tiles.is_parent if active is None else active)
    equal, best = _equals(tiles, chosen, rank)
    del chosen  # the search needs the room
    rule = near_rule(config, rejected=rejected, compared_per_tile=compared_per_tile)
    near = near_within(tiles, best, rank, rule, progress)
    return in_order(Pairs.join([equal, near]))


def _equals(tiles: Tiles, chosen: Indices, rank: Indices) -> tuple[Pairs, Indices]:
    """Link tiles to the best one with equal pixels; returns the links and those best ones."""
    hub = chosen[best_of_equals(tiles.pixel_keys[chosen], rank[chosen])]
    again = hub != chosen
    copy, original = chosen[again], hub[again]
    kind = kind_of_equals(tiles, copy, tiles, original)
    return Pairs.alike(copy, original, kind), chosen[~again]


def find_hits(
    tiles: Tiles,
    benchmark: Tiles,
    config: DedupConfig,
    *,
    rejected: bool = False,
    progress: Progress = quiet,
) -> Pairs:
    """Find the pairs (tile as copy, benchmark tile as original), each once, by the surest kind.

    What the pixels refuse gets a second look, shifted (`shifts.look_again`).

    Args:
        tiles: the tiles, parents included.
        benchmark: the held-out tiles, parents included.
        config: what counts as the same picture; a parent must be as alike as
            `min_image_similarity`, since all its tiles leak with it.
        rejected: also list the pairs that close hashes proposed and the pixels refused.
        progress: told of the search.

    Returns:
        Pairs sorted by copy, then original.
    """
    ours, theirs = _Pictures.of(tiles), _Pictures.of(benchmark)
    rule = near_rule(config, rejected=True)
    near = near_between(tiles, ours.first, benchmark, theirs.first, rule, progress)
    near = look_again(near, tiles, benchmark, config.min_similarity)
    keys = np.concatenate([tiles.pixel_keys[ours.first], benchmark.pixel_keys[theirs.first]])
    hub = best_of_equals(keys, np.arange(len(keys)))[len(ours.first) :]
    known = hub < len(ours.first)
    equal = Pairs.alike(ours.first[hub[known]], theirs.first[known], PIXELS)
    equal, near = _open(equal, ours, theirs), _open(near, ours, theirs)
    surest = kind_of_equals(tiles, equal.copy, benchmark, equal.original)
    equal = Pairs.alike(equal.copy, equal.original, surest)
    unsure = tiles.is_parent[near.copy] & (near.similarity < config.min_image_similarity)
    near = replace(near, rejected=near.rejected | unsure)
    near = near if rejected else near.take(~near.rejected)
    equal = honest_kinds(equal, tiles, benchmark)
    by_place = shared_footprints(tiles, benchmark, config)
    return one_per_pair(Pairs.join([equal, near, by_place]), len(benchmark))


def near_rule(
    config: DedupConfig,
    *,
    rejected: bool = False,
    compared_per_tile: int = COMPARED_PER_TILE,
) -> NearRule:
    """What a recipe calls nearly equal."""
    return NearRule(
        config.max_hamming_bits,
        len(ORIENTATIONS) if config.orientations else 1,
        len(MIRRORS) if config.mirror_frames else 1,
        config.min_thumbnail_std,
        config.min_similarity,
        rejected,
        compared_per_tile,
    )


def best_of_equals(keys: NDArray[np.uint64], rank: Indices) -> Indices:
    """For each of N rows the best-ranked row with the same key, uint64 (N, 2)."""
    order = np.lexsort((rank, keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    fresh = np.ones(len(keys), np.bool_)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    hub = order[np.maximum.accumulate(np.where(fresh, np.arange(len(keys)), 0))]
    best = np.empty(len(keys), np.int64)
    best[order] = hub
    return best


def kind_of_equals(
    tiles: Tiles, copy: Indices, others: Tiles, original: Indices
) -> NDArray[np.uint8]:
    """Say whether tiles with equal pixels are even the same file."""
    key = tiles.byte_key[copy]
    same = (key == others.byte_key[original]) & (key != 0)
    return np.where(same, BYTES, PIXELS).astype(np.uint8)


def honest_kinds(pairs: Pairs, tiles: Tiles, others: Tiles) -> Pairs:
    """Call equal pixels near where they are those of smaller pictures of the images."""
    reduced = tiles.is_reduced[pairs.copy] | others.is_reduced[pairs.original]
    kind = np.where(reduced & (pairs.kind == PIXELS), NEAR, pairs.kind).astype(np.uint8)
    return replace(pairs, kind=kind)


def in_order(pairs: Pairs) -> Pairs:
    """Sort by kind, copy, original."""
    return pairs.take(np.lexsort((pairs.original, pairs.copy, pairs.kind)))


def one_per_pair(pairs: Pairs, width: int) -> Pairs:
    """Of several reasons for one pair keep the surest; sorted by copy, original."""
    order = np.lexsort((pairs.kind, pairs.rejected, pairs.original, pairs.copy))
    pairs = pairs.take(order)
    first = np.unique(pairs.copy * width + pairs.original, return_index=True)[1]
    return pairs.take(first)


@dataclass(frozen=True)
class _Pictures:
    """Tiles with equal pixels, taken as one picture."""

    first: Indices
    """The first tile of each, increasing."""
    members: Indices
    """All tiles, picture by picture."""
    starts: Indices
    counts: Indices

    @classmethod
    def of(cls, tiles: Tiles) -> "_Pictures":
        hub = best_of_equals(tiles.pixel_keys, np.arange(len(tiles)))
        members = np.argsort(hub, kind="stable")
        first, counts = np.unique(hub, return_counts=True)
        return cls(first, members, np.cumsum(counts) - counts, counts)

    def number_of(self, first: Indices) -> Indices:
        return np.searchsorted(self.first, first)


def _open(pairs: Pairs, ours: _Pictures, theirs: _Pictures) -> Pairs:
    """Give every tile of a picture the pairs of its first tile."""
    mine, other = ours.number_of(pairs.copy), theirs.number_of(pairs.original)
    opened = []
    for run, i, j in product_blocks(ours.counts[mine], theirs.counts[other], _BLOCK_PAIRS):
        block = pairs.take(run)
        opened.append(
            Pairs.of(
                ours.members[ours.starts[mine[run]] + i],
                theirs.members[theirs.starts[other[run]] + j],
                block.kind,
                block.distance_bits,
                block.orientation,
                block.similarity,
                block.rejected,
            )
        )
    return Pairs.join(opened)
