# SPDX-License-Identifier: Apache-2.0
"""A second look at refused pairs: the same picture, shifted by a few pixels, is still the same.

Chips cut around annotated points (damaged buildings, vehicles) show one place again and again, some
pixels apart. Their hashes are close, but at a fixed place their thumbnails do not agree. So the
thumbnails are compared at every shift of up to two pixels of 32, in steps of half a pixel, over
what they have in common.
Figures: docs/results/2026-11-25-curation.md.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import THUMBNAIL_PX, orient
from rspipe.curate.dedup.pairs import Pairs
from rspipe.curate.dedup.tiles import Tiles
from rspipe.curate.dedup.verify import NOISE_LEVELS, NOISE_SHARE
from rspipe.schema import ORIENTATIONS

MAX_SHIFT_PX = 2.0
"""Of the 32 of a thumbnail: a sixteenth of the picture's side."""
MIN_FIXED = 0.8
"""Pairs that agree less than this where they are get no second look: on real chips shifted pairs
begin at 0.85."""
_PAIRS_AT_A_TIME = 2048

Thumbnails = NDArray[np.uint8]
Frames = NDArray[np.float32]


def look_again(pairs: Pairs, tiles: Tiles, others: Tiles, min_similarity: float) -> Pairs:
    """Accept refused pairs whose thumbnails agree once they are shifted.

    Args:
        pairs: rows of `tiles` as copies, of `others` as originals, refused ones among them.
        tiles: the copies' side.
        others: the originals' side; `tiles` itself for pairs within one set.
        min_similarity: what verifies a pair.

    Returns:
        The pairs, in their order; `similarity` is that of the best shift where that is higher.
    """
    chosen = np.flatnonzero(pairs.rejected & (pairs.similarity >= MIN_FIXED))
    similarity, rejected = pairs.similarity.copy(), pairs.rejected.copy()
    for start in range(0, len(chosen), _PAIRS_AT_A_TIME):
        some = chosen[start : start + _PAIRS_AT_A_TIME]
        best = shifted_similarities(
            _thumbnails(tiles, pairs.copy[some]),
            _thumbnails(others, pairs.original[some]),
            pairs.orientation[some],
        )
        similarity[some] = np.maximum(similarity[some], best)
        rejected[some] = similarity[some] < min_similarity
    return replace(pairs, similarity=similarity, rejected=rejected)


def shifted_similarities(
    copies: Thumbnails, originals: Thumbnails, orientation: NDArray[np.integer]
) -> NDArray[np.float32]:
    """Compare P pairs of thumbnails at every shift, and return the best.

    Args:
        copies: uint8 (P, 32, 32) grey.
        originals: uint8 (P, 32, 32) grey.
        orientation: (P,) index in `ORIENTATIONS`: what was done to the original to get the copy.

    Returns:
        (P,) the largest similarity, as `verify.similarities` defines it, of the 2x2 blocks that
        the two have in common.
    """
    turned = np.empty_like(originals)
    for k, name in enumerate(ORIENTATIONS):
        for place in np.flatnonzero(orientation == k):
            turned[place] = orient(originals[place], name)
    ours, theirs = _halves(copies), _halves(turned)
    best = np.full(len(copies), -1.0, np.float32)
    steps = int(2 * MAX_SHIFT_PX)
    for dy in range(-steps, steps + 1):
        for dx in range(-steps, steps + 1):
            best = np.maximum(best, _similarity(_cut(ours, dy, dx), _cut(theirs, -dy, -dx)))
    return best


def _halves(thumbnails: Thumbnails) -> Frames:
    """Sample at half pixels: float32 (P, 63, 63), every sample a mean of the same four weights.

    Every sample is smoothed alike ([1 2 1] / 4 along both axes of the doubled grid), so that a half
    shift blurs no more than a whole one.
    """
    doubled = np.repeat(np.repeat(thumbnails.astype(np.float32), 2, axis=1), 2, axis=2)
    rows = (doubled[:, :-1] + doubled[:, 1:]) / 2
    return np.asarray((rows[:, :, :-1] + rows[:, :, 1:]) / 2, np.float32)


def _cut(frames: Frames, dy: int, dx: int) -> Frames:
    """Take the common part of frames that are shifted by (dy, dx) half steps against another."""
    height, width = frames.shape[1] - abs(dy), frames.shape[2] - abs(dx)
    y, x = max(dy, 0), max(dx, 0)
    part = frames[:, y : y + height, x : x + width]
    side = 4  # half steps: the blocks of `verify`, two pixels a side
    rows, columns = height // side, width // side
    part = part[:, : rows * side, : columns * side].reshape(-1, rows, side, columns, side)
    blocks: Frames = part.mean(axis=(2, 4)).reshape(len(frames), -1)
    return blocks


def _similarity(ours: Frames, theirs: Frames) -> NDArray[np.float32]:
    a = ours - ours.mean(axis=1, keepdims=True)
    b = theirs - theirs.mean(axis=1, keepdims=True)
    va, vb = (a * a).mean(axis=1), (b * b).mean(axis=1)
    spread = np.sqrt(va * vb)
    r = np.where(spread > 0, (a * b).mean(axis=1) / np.maximum(spread, 1e-12), 0.0)
    noise = np.minimum(NOISE_LEVELS**2 / np.maximum(np.maximum(va, vb), 1e-12), NOISE_SHARE)
    alike = np.sqrt(1.0 - np.clip(1.0 - r * r - noise, 0.0, 1.0))
    return np.where(r > 0, alike, r).astype(np.float32)


def _thumbnails(tiles: Tiles, rows: NDArray[np.int64]) -> Thumbnails:
    wanted, places = np.unique(rows, return_inverse=True)
    found: Thumbnails = tiles.thumbnails.select(wanted).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)
    return found[places]
