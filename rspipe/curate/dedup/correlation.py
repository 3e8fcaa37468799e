"""Correlation of thumbnails, pair by pair, compiled: a hash proposes, the pictures decide.

All sums are whole numbers, so the result is the same to the last bit on every machine, whatever
the order and the number of threads.
"""

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.compiled import compiled
from rspipe.curate.dedup.hashing import THUMBNAIL_PX, orient
from rspipe.curate.dedup.pairs import Indices
from rspipe.schema import ORIENTATIONS

_ROWS, _COLUMNS = np.indices((THUMBNAIL_PX, THUMBNAIL_PX)).astype(np.uint8)
TURNS = np.stack(
    [
        orient(_ROWS, name).ravel() * np.uint16(THUMBNAIL_PX) + orient(_COLUMNS, name).ravel()
        for name in ORIENTATIONS
    ]
)
"""uint16 (8, 1024): pixel i of a thumbnail in orientation k is its pixel TURNS[k, i]."""


@compiled
def moments(thumbnails: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Sum, and variance × 1024², of each row of uint8 (N, 1024); int64 (N, 2)."""
    count, pixels = thumbnails.shape
    found = np.empty((count, 2), np.int64)
    for row in range(count):
        total = np.int64(0)
        squares = np.int64(0)
        for i in range(pixels):
            value = np.int64(thumbnails[row, i])
            total += value
            squares += value * value
        found[row, 0] = total
        found[row, 1] = pixels * squares - total * total
    return found


@compiled
def correlate(
    copy: NDArray[np.uint8],
    original: NDArray[np.uint8],
    copy_moments: NDArray[np.int64],
    original_moments: NDArray[np.int64],
    turn: NDArray[np.uint16],
) -> float:
    """Correlate two thumbnails, uint8 (1024,), the original turned; 0 where either is flat.

    Args:
        copy: the one.
        original: the other.
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
    return float(np.float64(covariance) / np.sqrt(spread))


@compiled
def correlate_pairs(
    copies: NDArray[np.uint8],
    originals: NDArray[np.uint8],
    copy_moments: NDArray[np.int64],
    original_moments: NDArray[np.int64],
    copy: Indices,
    original: Indices,
    orientation: NDArray[np.uint8],
    turns: NDArray[np.uint16],
) -> NDArray[np.float64]:
    """Correlate P pairs of rows of two thumbnail arrays, each in its own orientation."""
    found = np.empty(len(copy), np.float64)
    for p in range(len(copy)):
        i, j = copy[p], original[p]
        found[p] = correlate(
            copies[i], originals[j], copy_moments[i], original_moments[j], turns[orientation[p]]
        )
    return found
