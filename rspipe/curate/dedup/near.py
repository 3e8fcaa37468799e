# SPDX-License-Identifier: Apache-2.0
"""Nearly equal pictures: close hashes propose, the thumbnails decide; in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.close_groups import CloseGroups, Groups, close_groups, heavy_pairs
from rspipe.curate.dedup.leaders import compare_with_leaders
from rspipe.curate.dedup.pairs import INVERSE_INDEX, NEAR, Flags, Indices, Pairs
from rspipe.curate.dedup.products import product_blocks, ranges
from rspipe.curate.dedup.tiles import Tiles
from rspipe.curate.dedup.verify import TURNS, Blocks, compare_pairs, moments
from rspipe.curate.progress import Progress, quiet

COMPARED_PER_TILE = 100
"""Components of close hashes with more candidate pairs per tile are compared leader by leader."""

_BLOCK_PAIRS = 500_000


@dataclass(frozen=True)
class NearRule:
    """What counts as nearly equal."""

    max_hamming_bits: int
    orientations: int
    """8, or 1: upright only."""
    frames: int
    """4, or 1: hashes as they are only; see `frames`."""
    min_thumbnail_std: float
    min_similarity: float
    with_rejected: bool = False
    """Also list the pairs that the thumbnails refused."""
    compared_per_tile: int = COMPARED_PER_TILE

    @property
    def least_similarity(self) -> float:
        """Pairs below are not listed."""
        return -2.0 if self.with_rejected else self.min_similarity


def near_within(
    tiles: Tiles, rows: Indices, rank: Indices, rule: NearRule, progress: Progress = quiet
) -> Pairs:
    """Find the near pairs within one set, each once, the worse-ranked as the copy.

    Args:
        tiles: the tiles.
        rows: those to compare.
        rank: keep rank of all tiles.
        rule: what counts as nearly equal.
        progress: told of the search.
    """
    rows = rows[tiles.has_content(rule.min_thumbnail_std)[rows]]
    groups = Groups.of(tiles.hashes, rows)
    close = _search(groups, None, rule, progress)
    heavy = heavy_pairs(groups, close, rule.compared_per_tile)
    shown = _Shown.of(tiles, [groups.rows_of(close.left), groups.rows_of(close.right)])
    few, many = close.take(~heavy), close.take(heavy)
    return Pairs.join(
        [
            *_compare_all((groups, groups), few, (shown, shown), rule, (tiles, rank)),
            _compare_leaders(groups, many, shown, rule, tiles, rank),
        ]
    )


def near_between(
    tiles: Tiles,
    rows: Indices,
    others: Tiles,
    other_rows: Indices,
    rule: NearRule,
    progress: Progress = quiet,
) -> Pairs:
    """Find the near pairs of two sets: every tile of the one with every tile of the other.

    Args:
        tiles: the copies.
        rows: those of them to compare.
        others: the originals.
        other_rows: those of them to compare.
        rule: what counts as nearly equal.
        progress: told of the search.
    """
    left = Groups.of(tiles.hashes, rows[tiles.has_content(rule.min_thumbnail_std)[rows]])
    seen = others.has_content(rule.min_thumbnail_std)[other_rows]
    right = Groups.of(others.hashes, other_rows[seen])
    close = _search(left, right, rule, progress)
    shown = (
        _Shown.of(tiles, [left.rows_of(close.left)]),
        _Shown.of(others, [right.rows_of(close.right)]),
    )
    return Pairs.join(list(_compare_all((left, right), close, shown, rule)))


def _search(
    copies: Groups, originals: Groups | None, rule: NearRule, progress: Progress
) -> CloseGroups:
    return close_groups(
        copies,
        originals,
        rule.max_hamming_bits,
        orientations=rule.orientations,
        frames=rule.frames,
        progress=progress,
    )


@dataclass(frozen=True)
class _Shown:
    """Blocks of the tiles that are candidates; see `verify`."""

    rows: Indices
    """Increasing."""
    blocks: Blocks
    moments: NDArray[np.int64]

    @classmethod
    def of(cls, tiles: Tiles, rows: list[Indices]) -> "_Shown":
        chosen = np.unique(np.concatenate(rows))
        blocks = tiles.thumbnails.blocks(chosen)
        return cls(chosen, blocks, moments(blocks))

    def places(self, rows: Indices) -> Indices:
        return np.searchsorted(self.rows, rows)


def _compare_all(
    groups: tuple[Groups, Groups],
    close: CloseGroups,
    shown: tuple[_Shown, _Shown],
    rule: NearRule,
    within: tuple[Tiles, Indices] | None = None,
) -> Iterator[Pairs]:
    """Compare every member of a group with every member of those close to it, block by block.

    Args:
        groups: of the copies, of the originals.
        close: which are close.
        shown: thumbnails of both.
        rule: what counts as nearly equal.
        within: the tiles and their rank, where both sides are one set: then each pair is looked
            at once, if it may match at all, and turned so that the better-ranked is the original.
    """
    for run, copy, original, turned in _candidates(groups, close, within):
        pair = np.repeat(np.arange(len(run)), close.count[run])
        match = ranges(close.first[run], close.count[run])
        orientation = close.orientation[match]
        orientation = np.where(turned[pair], INVERSE_INDEX[orientation], orientation)
        alike = _compare(shown, copy[pair], original[pair], orientation)
        order = np.lexsort((orientation, -alike, pair))
        best = order[np.unique(pair[order], return_index=True)[1]]
        best = best[alike[best] >= rule.least_similarity]
        chosen = pair[best]
        yield _near(
            (copy[chosen], original[chosen]),
            close.distance_bits[match[best]],
            orientation[best],
            alike[best],
            rule,
        )


def _candidates(
    groups: tuple[Groups, Groups], close: CloseGroups, within: tuple[Tiles, Indices] | None
) -> Iterator[tuple[Indices, Indices, Indices, Flags]]:
    """Yield pair of groups, copy, original, and whether these were swapped; see `_compare_all`."""
    left, right = groups
    for run, i, j in product_blocks(
        left.counts[close.left], right.counts[close.right], _BLOCK_PAIRS
    ):
        copy = left.members[left.starts[close.left[run]] + i]
        original = right.members[right.starts[close.right[run]] + j]
        if within is None:
            yield run, copy, original, np.zeros(len(run), np.bool_)
            continue
        tiles, rank = within
        once = (close.left[run] != close.right[run]) | (i < j)
        once &= tiles.may_look_alike(copy, original)
        copy, original = copy[once], original[once]
        turned = rank[copy] < rank[original]
        copy, original = np.where(turned, original, copy), np.where(turned, copy, original)
        yield run[once], copy, original, turned


def _compare(
    shown: tuple[_Shown, _Shown],
    copy: Indices,
    original: Indices,
    orientation: NDArray[np.uint8],
) -> NDArray[np.float64]:
    copies, originals = shown
    return compare_pairs(
        copies.blocks,
        originals.blocks,
        copies.moments,
        originals.moments,
        copies.places(copy),
        originals.places(original),
        orientation,
        TURNS,
    )


def _compare_leaders(
    groups: Groups, close: CloseGroups, shown: _Shown, rule: NearRule, tiles: Tiles, rank: Indices
) -> Pairs:
    """Compare what would be too many pairs in rank order; see `leaders`."""
    if not len(close):
        return Pairs.empty()
    chosen = np.unique(np.concatenate([close.left, close.right]))
    group = np.repeat(chosen, groups.counts[chosen])
    rows = groups.rows_of(chosen)
    order = np.argsort(rank[rows])
    rows, group = rows[order], group[order]
    links, bits = _links(close, len(groups))
    copy, original, link, alike = compare_with_leaders(
        shown.blocks,
        shown.moments,
        TURNS,
        shown.places(rows),
        group,
        tiles.image[rows],
        tiles.partner[rows],
        *links,
        rule.min_similarity,
        rule.least_similarity,
    )
    return _near((rows[copy], rows[original]), bits[link], links[2][link], alike, rule)


def _links(
    close: CloseGroups, count: int
) -> tuple[tuple[Indices, Indices, NDArray[np.uint8]], NDArray[np.uint8]]:
    """List for each group the groups close to it, in both directions.

    Returns:
        Where the links of each group start, group and orientation of each link; and its bits.
    """
    pair = np.repeat(np.arange(len(close)), close.count)
    match = ranges(close.first, close.count)
    left, right = close.left[pair], close.right[pair]
    other = left != right
    orientation, bits = close.orientation[match], close.distance_bits[match]
    start = np.concatenate([left, right[other]])
    end = np.concatenate([right, left[other]])
    turned = np.concatenate([orientation, INVERSE_INDEX[orientation[other]]])
    distance = np.concatenate([bits, bits[other]])
    order = np.lexsort((turned, end, start))
    starts = np.searchsorted(start[order], np.arange(count + 1))
    return (starts, end[order], turned[order]), distance[order]


def _near(
    ends: tuple[Indices, Indices],
    bits: NDArray[np.uint8],
    orientation: NDArray[np.uint8],
    alike: NDArray[np.float64],
    rule: NearRule,
) -> Pairs:
    return Pairs.of(*ends, NEAR, bits, orientation, alike, alike < rule.min_similarity)
