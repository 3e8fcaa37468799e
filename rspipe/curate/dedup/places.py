# SPDX-License-Identifier: Apache-2.0
"""Tiles that are the same by where they lie: windows of one image, and footprints on the ground.

A hash does not find them: a window moved by a third of its width looks different. Lineage does.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.overlap import overlapping_boxes
from rspipe.curate.dedup.pairs import CROP, FOOTPRINT, Flags, Indices, Pairs
from rspipe.curate.dedup.tiles import UNKNOWN_DAY, Tiles

_METRES_PER_DEGREE = 111_320.0
# The box in degrees around a rotated image is larger than the image, its sides by at most 1.41.
_PLAUSIBLE_GSD = (0.8, 1.6)


def overlapping_crops(tiles: Tiles, active: Flags, min_iou: float) -> Pairs:
    """Find windows of one image that overlap, by lineage alone.

    Args:
        tiles: the tiles.
        active: which take part; parents must not.
        min_iou: least intersection over union.

    Returns:
        Pairs of kind crop, in no order; `similarity` is the intersection over union.
    """
    rows = np.flatnonzero(active)
    _, image, count = np.unique(tiles.image[rows], return_inverse=True, return_counts=True)
    cut = count[image] > 1
    rows, image = rows[cut], image[cut]
    y0, x0, h, w = tiles.windows[rows].T.astype(np.float64)
    boxes = np.stack([y0, x0, y0 + h, x0 + w], axis=1)
    return _pairs(tiles, tiles, rows, rows, overlapping_boxes(image, boxes, min_iou), CROP)


def same_footprints(tiles: Tiles, active: Flags, config: DedupConfig) -> Pairs:
    """Find tiles of different images that show the same ground on the same day.

    Args:
        tiles: the tiles.
        active: which take part; parents must not.
        config: `min_footprint_iou`, over the union, and `max_gsd_ratio`.

    Returns:
        Pairs of kind footprint, in no order; `similarity` is the intersection over union. The two
        images of a change pair are none.
    """
    if config.min_footprint_iou is None:
        return Pairs.empty()
    rows = np.flatnonzero(active & located(tiles))
    found = overlapping_boxes(_days(tiles, rows), _boxes(tiles, rows), config.min_footprint_iou)
    pairs = _pairs(tiles, tiles, rows, rows, found, FOOTPRINT)
    alike = tiles.may_look_alike(pairs.copy, pairs.original)
    return pairs.take(alike & _same_gsd(tiles, tiles, pairs, config.max_gsd_ratio))


def shared_footprints(tiles: Tiles, others: Tiles, config: DedupConfig) -> Pairs:
    """Find tiles of two sets that show some of the same ground on the same day.

    Args:
        tiles: the copies.
        others: the originals.
        config: `min_footprint_iou`, here over the smaller of the two, and `max_gsd_ratio`.

    Returns:
        Pairs of kind footprint; `similarity` is the common ground over the smaller of the two.
    """
    if config.min_footprint_iou is None:
        return Pairs.empty()
    ours = np.flatnonzero(located(tiles) & ~tiles.is_parent)
    theirs = np.flatnonzero(located(others) & ~others.is_parent)
    common = np.intersect1d(tiles.day[ours], others.day[theirs])
    ours = ours[np.isin(tiles.day[ours], common)]
    theirs = theirs[np.isin(others.day[theirs], common)]
    day = np.concatenate([_days(tiles, ours), _days(others, theirs)])
    boxes = np.concatenate([_boxes(tiles, ours), _boxes(others, theirs)])
    found = overlapping_boxes(day, boxes, config.min_footprint_iou, "smaller")
    across = []
    for a, b, share in found:
        first, second = np.minimum(a, b), np.maximum(a, b)
        chosen = (first < len(ours)) & (second >= len(ours))
        across.append((first[chosen], second[chosen] - len(ours), share[chosen]))
    pairs = _pairs(tiles, others, ours, theirs, across, FOOTPRINT)
    return pairs.take(_same_gsd(tiles, others, pairs, config.max_gsd_ratio))


def located(tiles: Tiles) -> Flags:
    """Whether it is known where and when a tile was taken, at what GSD, and the three agree.

    Some data sets give each tile the footprint of its whole scene; its size in metres then is not
    the tile's pixels times its GSD, and it says nothing of the tile.
    """
    west, south, east, north = tiles.bounds.T
    height = (north - south) * _METRES_PER_DEGREE
    width = (east - west) * _METRES_PER_DEGREE * np.cos(np.radians((north + south) / 2))
    known = (tiles.day != UNKNOWN_DAY) & (height > 0) & (width > 0) & (tiles.gsd_m > 0)
    pixels = tiles.size_px.astype(np.float64).prod(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.sqrt(height * width / pixels) / tiles.gsd_m
        low, high = _PLAUSIBLE_GSD
        return np.asarray(known & (ratio >= low) & (ratio <= high))


def _pairs(
    tiles: Tiles,
    others: Tiles,
    rows: Indices,
    other_rows: Indices,
    found: Iterable[tuple[Indices, Indices, NDArray[np.float64]]],
    kind: int,
) -> Pairs:
    blocks = []
    for a, b, share in found:
        copy, original = rows[a], other_rows[b]
        bits = np.bitwise_count(tiles.hashes[copy, 0] ^ others.hashes[original, 0])
        blocks.append(Pairs.of(copy, original, kind, bits, 0, share))
    return Pairs.join(blocks)


def _days(tiles: Tiles, rows: Indices) -> Indices:
    return tiles.day[rows].astype(np.int64)


def _boxes(tiles: Tiles, rows: Indices) -> NDArray[np.float64]:
    west, south, east, north = tiles.bounds[rows].T
    return np.stack([south, west, north, east], axis=1)


def _same_gsd(tiles: Tiles, others: Tiles, pairs: Pairs, max_ratio: float) -> Flags:
    ratio = tiles.gsd_m[pairs.copy].astype(np.float64) / others.gsd_m[pairs.original]
    return np.asarray(np.maximum(ratio, 1 / ratio) <= max_ratio)
