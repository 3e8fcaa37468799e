# SPDX-License-Identifier: Apache-2.0
"""Pixel verification of candidate pairs: a hash proposes, the pictures decide.

Two thumbnails are compared by the means of their 16x16 blocks, after the original was brought
into the copy's orientation. A copy that was compressed, resized or brightened differs from its
original by noise of about one grey level in those means, however faint the picture; another place
that merely resembles it differs by a share of its contrast. So the similarity is the correlation
that would be left if one grey level of the difference were taken as noise: a plain correlation
refuses faint copies (forest, water) and takes contrasty strangers. Where one grey level is much of
the contrast, only a share of it is granted, or anything would resemble anything.
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
NOISE_SHARE = 0.12
"""Most of a picture's variance that is taken as noise; with it, no r below 0.92 verifies a pair."""

_BLOCK_PX = THUMBNAIL_PX // BLOCKS
_COUNT = BLOCKS * BLOCKS
_PLACES = np.arange(_COUNT, dtype=np.uint8).reshape(BLOCKS, BLOCKS)
TURNS = np.stack([orient(_PLACES, name).ravel() for name in ORIENTATIONS])
"""uint8 (8, 256): block i of a thumbnail in orientation k is its block TURNS[k, i]."""
# Sums of 4 pixels, and 256 times their variance times 256: in these units a grey level is 4.
_NOISE = (NOISE_LEVELS * _BLOCK_PX**2 * _COUNT) ** 2

Thumbnails = NDArray[np.uint8]
Blocks = NDArray[np.uint16]


def similarity(copy: Thumbnails, original: Thumbnails, orientation: str) -> float:
    """Compare two thumbnails, uint8 (32, 32); see `similarities`."""
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
        (P,) -1..1: sqrt(1 - max(0, (1 - r²) - min(n² / v, s))) where r > 0, else r. r is the
        Pearson correlation of the blocks' means, v the variance of the more contrasty of the two,
        n `NOISE_LEVELS`, s `NOISE_SHARE`. Invariant to brightness, and to contrast but for n. 0
        where either is flat.
    """
    ours, theirs = block_sums(copies), block_sums(originals)
    rows = np.arange(len(ours))
    return compare_pairs(
        ours, theirs, moments(ours), moments(theirs), rows, rows, orientation, TURNS
    )


def block_sums(thumbnails: Thumbnails) -> Blocks:
    """Sum the pixels of every block: uint8 (N, 32, 32) or (N, 1024) to uint16 (N, 256), 0..1020."""
    blocks = thumbnails.reshape(len(thumbnails), BLOCKS, _BLOCK_PX, BLOCKS, _BLOCK_PX)
    sums: Blocks = blocks.sum(axis=(2, 4), dtype=np.uint16).reshape(len(thumbnails), _COUNT)
    return sums


@compiled
def moments(values: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    """Sum, and variance × n², of each row of unsigned (N, n); int64 (N, 2)."""
    count, width = values.shape
    found = np.empty((count, 2), np.int64)
    for row in range(count):
        total = np.int64(0)
        squares = np.int64(0)
        for i in range(width):
            value = np.int64(values[row, i])
            total += value
            squares += value * value
        found[row, 0] = total
        found[row, 1] = width * squares - total * total
    return found


@compiled
def compare(
    copy: Blocks,
    original: Blocks,
    copy_moments: NDArray[np.int64],
    original_moments: NDArray[np.int64],
    turn: NDArray[np.uint8],
) -> float:
    """Compare two rows of `block_sums`, the original turned; see `similarities`.

    In whole numbers up to the division: the same to the last bit on every machine.

    Args:
        copy: uint16 (256,).
        original: uint16 (256,).
        copy_moments: see `moments`.
        original_moments: likewise.
        turn: row of TURNS, what was done to the original to get the copy.
    """
    spread = np.float64(copy_moments[1]) * np.float64(original_moments[1])
    if spread <= 0.0:
        return 0.0
    products = np.int64(0)
    for i in range(len(copy)):
        products += np.int64(np.int32(copy[i]) * np.int32(original[turn[i]]))
    covariance = len(copy) * products - copy_moments[0] * original_moments[0]
    r = np.float64(covariance) / np.sqrt(spread)
    if r <= 0.0:
        return float(r)
    noise = _NOISE / np.float64(max(copy_moments[1], original_moments[1]))
    unlike = 1.0 - r * r - min(noise, NOISE_SHARE)
    return float(np.sqrt(1.0 - min(max(unlike, 0.0), 1.0)))


@compiled
def compare_pairs(
    copies: Blocks,
    originals: Blocks,
    copy_moments: NDArray[np.int64],
    original_moments: NDArray[np.int64],
    copy: NDArray[np.integer],
    original: NDArray[np.integer],
    orientation: NDArray[np.integer],
    turns: NDArray[np.uint8],
) -> NDArray[np.float64]:
    """Compare P pairs of rows of two tables of blocks, each in its own orientation."""
    found = np.empty(len(copy), np.float64)
    for p in range(len(copy)):
        i, j = copy[p], original[p]
        found[p] = compare(
            copies[i], originals[j], copy_moments[i], original_moments[j], turns[orientation[p]]
        )
    return found
