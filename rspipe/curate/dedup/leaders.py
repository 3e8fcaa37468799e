# SPDX-License-Identifier: Apache-2.0
"""Leader-wise comparison: in rank order each tile is compared with the tiles kept so far.

For sets of tiles with equal or close hashes and too many pairs to compare them all (ten thousand
smooth gradients). What is dropped, and for whom, is what comparing all pairs gives: a tile goes if
and only if it matches a kept one, and it is compared with every kept one. Pairs of two dropped
tiles are not looked at, so `cluster_id` may be finer.
"""

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.compiled import compiled
from rspipe.curate.dedup.pairs import Indices
from rspipe.curate.dedup.verify import Blocks, compare

Found = tuple[Indices, Indices, Indices, NDArray[np.float64]]


@compiled
def compare_with_leaders(
    blocks: Blocks,
    moments: NDArray[np.int64],
    turns: NDArray[np.uint8],
    place: Indices,
    group: Indices,
    image: NDArray[np.uint64],
    partner: NDArray[np.uint64],
    link_starts: Indices,
    link_group: Indices,
    link_orientation: NDArray[np.uint8],
    min_similarity: float,
    least_similarity: float,
) -> Found:
    """Compare T tiles, best-ranked first.

    Args:
        blocks: uint16 (S, 256), see `verify.block_sums`.
        moments: of the blocks.
        turns: see `verify.TURNS`.
        place: (T,) the row of each tile in `blocks` and `moments`.
        group: (T,) the group of each tile.
        image: (T,) see `Tiles`; tiles of one image are not compared.
        partner: (T,) likewise for the images of a change pair.
        link_starts: (G + 1,) where the links of each group start.
        link_group: (L,) a close group; the links of a group are sorted by it.
        link_orientation: (L,) what is done to a tile of that group to get one of the own group.
        min_similarity: least similarity of a match.
        least_similarity: pairs below are not returned.

    Returns:
        copy, original, link and similarity of each pair that was compared.
    """
    last_kept = np.full(len(link_starts) - 1, -1, np.int64)
    kept_before = np.full(len(group), -1, np.int64)
    pairs = np.empty((1024, 3), np.int64)
    similarities = np.empty(1024, np.float64)
    found = 0
    for tile in range(len(group)):
        kept = True
        link = link_starts[group[tile]]
        stop = link_starts[group[tile] + 1]
        while link < stop:
            end = _end_of_run(link_group, link, stop)
            leader = last_kept[link_group[link]]
            while leader >= 0:
                if _may_look_alike(image, partner, tile, leader):
                    alike, by = _best_link(
                        blocks,
                        moments,
                        turns,
                        place[tile],
                        place[leader],
                        link_orientation,
                        link,
                        end,
                    )
                    kept = kept and alike < min_similarity
                    if alike >= least_similarity:
                        if found == len(pairs):
                            pairs = np.concatenate((pairs, np.empty_like(pairs)))
                            similarities = np.append(similarities, np.empty_like(similarities))
                        pairs[found] = tile, leader, by
                        similarities[found] = alike
                        found += 1
                leader = kept_before[leader]
            link = end
        if kept:
            kept_before[tile] = last_kept[group[tile]]
            last_kept[group[tile]] = tile
    return pairs[:found, 0], pairs[:found, 1], pairs[:found, 2], similarities[:found]


@compiled
def _end_of_run(values: Indices, start: int, stop: int) -> int:
    end = start + 1
    while end < stop and values[end] == values[start]:
        end += 1
    return end


@compiled
def _may_look_alike(
    image: NDArray[np.uint64], partner: NDArray[np.uint64], one: int, other: int
) -> bool:
    """`Tiles.may_look_alike` for one pair."""
    linked = partner[one] == image[other] or partner[other] == image[one]
    return bool(image[one] != image[other] and not linked)


@compiled
def _best_link(
    blocks: Blocks,
    moments: NDArray[np.int64],
    turns: NDArray[np.uint8],
    copy: int,
    original: int,
    link_orientation: NDArray[np.uint8],
    start: int,
    stop: int,
) -> tuple[float, int]:
    """The orientation in which two tiles are most alike, the first of equals."""
    best = -2.0
    best_link = start
    for link in range(start, stop):
        alike = compare(
            blocks[copy],
            blocks[original],
            moments[copy],
            moments[original],
            turns[link_orientation[link]],
        )
        if alike > best:
            best = alike
            best_link = link
    return best, best_link
