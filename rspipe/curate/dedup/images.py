# SPDX-License-Identifier: Apache-2.0
"""Whole images that are the same: where one was cut, a copy of it may have been cut elsewhere.

Tiles of two copies of a scene seldom lie on the same grid once one copy was resized, so they are
no near-duplicates of each other; the whole images are.
"""

from dataclasses import replace

import numpy as np

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.matching import best_of_equals, in_order, kind_of_equals, near_rule
from rspipe.curate.dedup.near import near_between
from rspipe.curate.dedup.pairs import Flags, Indices, Pairs
from rspipe.curate.dedup.tiles import Tiles
from rspipe.schema import ORIENTATIONS

_SIDEWAYS = np.array(
    [name in {"rot90", "rot270", "transpose", "transverse"} for name in ORIENTATIONS]
)


def find_same_images(
    tiles: Tiles, config: DedupConfig, rank: Indices, *, rejected: bool = False
) -> Pairs:
    """Find the pairs of whole images that are the same, at least one of the two having been cut.

    Two images that were not cut are tiles, and compared as such. An image takes part if one of
    its tiles does: one of which nothing is left is no survivor.

    Args:
        tiles: the tiles, parents included.
        config: what counts as the same; likeness must reach `min_image_similarity`, and the ratio
            of height and width may differ by `max_aspect_change`.
        rank: keep rank per tile, smaller is better, all different.
        rejected: also list the pairs that close hashes proposed and the pixels or shapes refused.

    Returns:
        Pairs of parents and uncut tiles, each once, the better-ranked as the original.
    """
    parents, uncut = _whole_images(tiles)
    if not len(parents):
        return Pairs.empty()
    whole = np.concatenate([parents, uncut])
    hub = whole[best_of_equals(tiles.pixel_keys[whole], rank[whole])]
    # Of equal images one was cut, or they are no business of this function.
    concerned = np.zeros(len(tiles), np.bool_)
    concerned[hub[: len(parents)]] = True
    again = (hub != whole) & concerned[hub]
    copy, original = whole[again], hub[again]
    equal = Pairs.alike(copy, original, kind_of_equals(tiles, copy, tiles, original))
    cut, best = np.flatnonzero(concerned), np.unique(hub)
    strict = config.model_copy(update={"min_similarity": config.min_image_similarity})
    rule = near_rule(strict, rejected=rejected)
    near = Pairs.join(
        [
            near_between(tiles, cut, tiles, best, rule),
            # A flip moves the median of the hash: the other way round is another search.
            near_between(tiles, np.setdiff1d(best, cut), tiles, cut, rule),
        ]
    )
    near = _one_way(near.take(near.copy != near.original).best_last(rank), len(tiles))
    near = near.take(tiles.may_look_alike(near.copy, near.original))
    misshapen = ~_same_shape(tiles, near, config.max_aspect_change)
    near = replace(near, rejected=near.rejected | misshapen)
    return in_order(Pairs.join([equal, near if rejected else near.take(~misshapen)]))


def tiles_of_images(tiles: Tiles, dropped: Pairs) -> Pairs:
    """Send the tiles of dropped images where their image went.

    Args:
        tiles: the tiles.
        dropped: one pair per dropped image.

    Returns:
        One pair per row of those images, the images' own rows included, sorted by copy.
    """
    order = np.argsort(tiles.image[dropped.copy])
    images = tiles.image[dropped.copy][order]
    place = np.searchsorted(images, tiles.image)
    place = np.minimum(place, max(len(images) - 1, 0))
    gone = images[place] == tiles.image if len(images) else np.zeros(len(tiles), np.bool_)
    rows = np.flatnonzero(gone)
    same = dropped.take(order[place[rows]])
    return Pairs.of(
        rows, same.original, same.kind, same.distance_bits, same.orientation, same.similarity
    )


def _whole_images(tiles: Tiles) -> tuple[Indices, Indices]:
    """Rows of the parents that have tiles, and of the tiles that are an image each."""
    parents = np.flatnonzero(tiles.is_parent)
    own = np.flatnonzero(~tiles.is_parent)
    from_cut = np.isin(tiles.image[own], tiles.image[parents])
    with_tiles = np.isin(tiles.image[parents], tiles.image[own[from_cut]])
    return parents[with_tiles], own[~from_cut]


def _same_shape(tiles: Tiles, pairs: Pairs, max_change: float) -> Flags:
    """Whether height : width agrees, the original's turned as the match says."""
    copy = tiles.windows[pairs.copy, 2:].astype(np.float64)
    original = tiles.windows[pairs.original, 2:].astype(np.float64)
    sideways = _SIDEWAYS[pairs.orientation]
    original = np.where(sideways[:, None], original[:, ::-1], original)
    change = (copy[:, 0] * original[:, 1]) / (copy[:, 1] * original[:, 0])
    return np.asarray(np.maximum(change, 1 / change) <= 1 + max_change)


def _one_way(pairs: Pairs, width: int) -> Pairs:
    """Of a pair found both ways round keep the better: more alike, then fewer bits."""
    order = np.lexsort(
        (
            pairs.orientation,
            pairs.distance_bits,
            -pairs.similarity,
            pairs.original,
            pairs.copy,
        )
    )
    first = np.unique((pairs.copy * width + pairs.original)[order], return_index=True)[1]
    return pairs.take(order[first])
