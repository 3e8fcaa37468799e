# SPDX-License-Identifier: Apache-2.0
"""What becomes of a set of tiles: the matches, who goes for whom, and the clusters."""

from dataclasses import dataclass

import numpy as np

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.clusters import Clusters, choose_dropped, find_clusters
from rspipe.curate.dedup.images import find_same_images, tiles_of_images
from rspipe.curate.dedup.matching import find_duplicates, honest_kinds, in_order
from rspipe.curate.dedup.pairs import Flags, Indices, Pairs
from rspipe.curate.dedup.places import overlapping_crops, same_footprints
from rspipe.curate.dedup.shifts import look_again
from rspipe.curate.dedup.tiles import Tiles
from rspipe.curate.progress import Progress, quiet
from rspipe.schema import ORIENTATIONS


@dataclass(frozen=True)
class Verdict:
    """Of a set of N tiles."""

    pairs: Pairs
    """All matches, each once, the better-ranked as the original; refused ones where asked for."""
    dropped: Pairs
    """One pair per dropped tile, sorted by it: `copy` goes, `original` stays."""
    with_image: Flags
    """Whether each of `dropped` goes because its whole image does; then `original` is a whole
    image (a parent, or a tile that was not cut)."""
    clusters: Clusters


def judge(
    tiles: Tiles,
    config: DedupConfig,
    rank: Indices,
    *,
    rejected: bool = False,
    progress: Progress = quiet,
) -> Verdict:
    """Find the copies in a set, and choose which tiles stay.

    Args:
        tiles: the tiles, parents included.
        config: what counts as the same picture.
        rank: keep rank per tile, smaller is better, all different.
        rejected: also list the pairs that close hashes proposed and the pixels refused, after a
            second look at them, shifted (`shifts.look_again`).
        progress: told of the search.
    """
    of_images = find_same_images(tiles, config, rank, rejected=rejected)
    with_image = tiles_of_images(tiles, choose_dropped(of_images, rank))
    active = ~tiles.is_parent
    active[with_image.copy] = False
    of_tiles = find_duplicates(
        tiles, config, rank, active=active, rejected=rejected, progress=progress
    )
    if rejected:
        of_tiles = look_again(of_tiles, tiles, tiles, config.min_similarity)
    by_place = [same_footprints(tiles, active, config)]
    if config.min_lineage_iou is not None:
        by_place.append(overlapping_crops(tiles, active, config.min_lineage_iou))
    of_tiles = Pairs.join([of_tiles, Pairs.join(by_place).best_last(rank)])
    alone = choose_dropped(of_tiles, rank)
    dropped = Pairs.join([with_image, alone])
    order = np.argsort(dropped.copy)
    pairs = in_order(Pairs.join([of_images, of_tiles]))
    count = len(ORIENTATIONS) if config.orientations else 1
    return Verdict(
        honest_kinds(pairs, tiles, tiles),
        honest_kinds(dropped.take(order), tiles, tiles),
        order < len(with_image),
        find_clusters(pairs, tiles.hashes, count),
    )
