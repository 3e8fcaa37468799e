"""Pixel verification of candidate pairs: a hash proposes, the pictures decide.

Two thumbnails are compared by the means of their 16x16 blocks, after the original was brought
into the copy's orientation. A copy that was compressed, resized or brightened differs from its
original by noise of about one grey level in those means, however faint the picture; another place
that merely resembles it differs by a share of its contrast. So the similarity is the correlation
that would be left if one grey level of the difference were taken as noise: a plain correlation
refuses faint copies (forest, water) and takes contrasty strangers.
Figures: docs/results/2026-11-25-duplicates.md.
"""

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.compiled import compiled
from rspipe.curate.dedup.hashing import THUMBNAIL_PX, orient
from rspipe.schema import ORIENTATIONS

BLOCKS = 16
"""Blocks along a side of a thumbnail."""
NOISE_LEVELS = 1.0
"""Root mean square of what compression may change in a block's mean, in grey levels."""

_BLOCK_PX = THUMBNAIL_PX // BLOCKS
_COUNT = BLOCKS * BLOCKS
_PLACES = np.arange(_COUNT, dtype=np.int64).reshape(BLOCKS, BLOCKS)
TURNS = np.stack([orient(_PLACES, name).ravel() for name in ORIENTATIONS]).astype(np.uint16)
"""uint16 (8, 256): block i of a thumbnail in orientation k is its block TURNS[k, i]."""
# Sums of 4 pixels, and 256 times their variance times 256: in these units a grey level is 4.
_NOISE = (NOISE_LEVELS * _BLOCK_PX**2 * _COUNT) ** 2

Thumbnails = NDArray[np.uint8]
Blocks = NDArray[np.uint16]


def similarity(copy: Thumbnails, original: Thumbnails, orientation: str) -> float:
    """Compare two thumbnails; see `similarities`."""
    turn = np.array([ORIENTATIONS.index(orientation)])
    return float(similarities(copy[None], original[None], turn)[0])


def similarities(
    copies: Thumbnails, originals: Thumbnails, orientation: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Compare P pairs of thumbnails, each original turned into its copy's orientation.

    Args:
        copies: uint8 (P, 32, 32) grey.
        originals: uint8 (P, 32, 32) grey.
        orientation: (P,) index in `ORIENTATIONS`: what was done to the original to get the copy.

    Returns:
        (P,) -1..1: sqrt(1 - max(0, (1 - r²) - n² / v)) where r > 0, else r. r is the Pearson
        correlation of the blocks' means, v the variance of the more contrasty of the two, n
        `NOISE_LEVELS`. Invariant to brightness, and to contrast but for n. 0 where either is flat.
    """
    pairs = np.arange(len(copies))
    return pair_similarities(block_sums(copies), block_sums(originals), pairs, pairs, orientation)


def block_sums(thumbnails: Thumbnails) -> Blocks:
    """Sum the pixels of every block: uint8 (N, 32, 32) to uint16 (N, 256), 0..1020."""
    blocks = thumbnails.reshape(len(thumbnails), BLOCKS, _BLOCK_PX, BLOCKS, _BLOCK_PX)
    return blocks.sum(axis=(2, 4), dtype=np.uint16).reshape(len(thumbnails), _COUNT)


def pair_similarities(
    copies: Blocks,
    originals: Blocks,
    copy: NDArray[np.integer],
    original: NDArray[np.integer],
    orientation: NDArray[np.integer],
) -> NDArray[np.float64]:
    """Compare P pairs of rows of two tables of `block_sums`; see `similarities`.

    Args:
        copies: uint16 (N, 256).
        originals: uint16 (M, 256).
        copy: (P,) rows of `copies`.
        original: (P,) rows of `originals`.
        orientation: (P,) index in `ORIENTATIONS`.
    """
    found = np.empty(len(copy), dtype=np.float64)
    _compare(copies, originals, copy, original, orientation, TURNS, found)
    return found


@compiled
def _compare(
    copies: Blocks,
    originals: Blocks,
    copy: NDArray[np.integer],
    original: NDArray[np.integer],
    orientation: NDArray[np.integer],
    turns: NDArray[np.uint16],
    found: NDArray[np.float64],
) -> None:
    for p in range(len(found)):
        found[p] = _similarity(copies[copy[p]], originals[original[p]], turns[orientation[p]])


@compiled
def _similarity(a: Blocks, b: Blocks, turn: NDArray[np.uint16]) -> float:
    """In whole numbers up to the division: the same to the last bit on every machine."""
    sum_a, sum_b = np.int64(0), np.int64(0)
    square_a, square_b, product = np.int64(0), np.int64(0), np.int64(0)
    for i in range(_COUNT):
        x, y = np.int64(a[i]), np.int64(b[turn[i]])
        sum_a += x
        sum_b += y
        square_a += x * x
        square_b += y * y
        product += x * y
    spread_a = np.float64(_COUNT * square_a - sum_a * sum_a)
    spread_b = np.float64(_COUNT * square_b - sum_b * sum_b)
    if min(spread_a, spread_b) <= 0.0:
        return 0.0
    r = np.float64(_COUNT * product - sum_a * sum_b) / np.sqrt(spread_a * spread_b)
    if r <= 0.0:
        return float(r)
    unlike = max(1.0 - r * r - _NOISE / max(spread_a, spread_b), 0.0)
    return float(np.sqrt(1.0 - min(unlike, 1.0)))
