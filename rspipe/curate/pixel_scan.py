# SPDX-License-Identifier: Apache-2.0
"""One pass over the pixels of a tile: its grey values, and every count its measures are made of.

All sums are of integers, so they are exact and the same on every machine.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.compiled import compiled

SATURATED_LEVEL = 250
"""A pixel is saturated where every band is at least this."""
BLACK_LEVEL = 5
"""A pixel is black where every band is at most this: JPEG leaves no exact zeros in a black fill."""
FLAT_STEP = 2
"""Neighbours are alike up to this many grey levels: JPEG noise and a ±1 of nothing stay below."""
CLOUD_LEVEL = 200
"""A cloud's darkest band is at least this."""
CLOUD_SPREAD = 25
"""A cloud's brightest and darkest band differ by at most this: it has no colour."""
CLOUD_STEP = 8
"""A cloud's grey value differs by at most this from the pixel to the right and the one below."""

_RUN_PX = 2048  # 32-bit sums of squared Laplacians (at most 1020²) hold over a run this long

_Bytes = NDArray[np.uint8]
_Valid = NDArray[np.bool_] | None


class Counts(NamedTuple):
    """What a pass counts; pixels without data count nowhere."""

    valid: int
    """Pixels with data."""
    grey_sum: int
    grey_squares: int
    saturated: int
    black: int
    pairs: int
    """Pairs of neighbours, to the right and below, both with data."""
    flat_pairs: int
    corners: int
    """Pixels with data whose neighbours to the right and below have data."""
    clouds: int
    """Of those, the bright, colourless and smooth ones."""
    centres: int
    """Pixels with data that have all four neighbours, with data."""
    laplacian_sum: int
    laplacian_squares: int


def scan(pixels: _Bytes, valid: _Valid) -> tuple[_Bytes, Counts]:
    """Turn a tile grey and count.

    Args:
        pixels: uint8 (H, W, 1 or 3), 0..255, C-contiguous.
        valid: bool (H, W), False where there is no data; None: data everywhere.

    Returns:
        uint8 (H, W): grey as Pillow weighs it (ITU-R 601-2), and the counts.
    """
    height, width, bands = pixels.shape
    flat_valid = None if valid is None else np.ascontiguousarray(valid).reshape(-1)
    grey = np.empty((height, width), dtype=np.uint8)
    counts = _scan(pixels.reshape(-1), bands, height, width, flat_valid, grey.reshape(-1))
    return grey, Counts(*counts.tolist())


@compiled
def _scan(
    pixels: _Bytes, bands: int, height: int, width: int, valid: _Valid, grey: _Bytes
) -> NDArray[np.int64]:
    """See `scan`; every array flat."""
    counts = np.zeros(12, dtype=np.int64)
    bright = np.empty((2, width), dtype=np.uint8)
    for y in range(height):
        here = y * width
        row, ok = grey[here : here + width], _cut(valid, here, here + width)
        _weigh(pixels[here * bands : (here + width) * bands], bands, ok, row, bright[y % 2], counts)
        for x in range(0, width, _RUN_PX):
            _count_run(grey, valid, width, y, x, bright[(y + 1) % 2], counts)
    return counts


@compiled
def _count_run(
    grey: _Bytes,
    valid: _Valid,
    width: int,
    y: int,
    x: int,
    bright_above: _Bytes,
    counts: NDArray[np.int64],
) -> None:
    """Count along row y from x on, and between it and the row above, and around the latter."""
    first = y * width + x
    run = min(_RUN_PX, width - x)
    beyond = min(run + 1, width - x)  # a pair or a corner reaches one pixel past the run
    row, ok = grey[first : first + beyond], _cut(valid, first, first + beyond)
    _count_tone(row[:run], _cut(ok, 0, run), counts)
    _count_pairs(row[:-1], row[1:], _cut(ok, 0, beyond - 1), _cut(ok, 1, beyond), counts)
    if y == 0:
        return
    up = first - width
    above, above_ok = grey[up : up + beyond], _cut(valid, up, up + beyond)
    _count_pairs(above[:run], row[:run], _cut(above_ok, 0, run), _cut(ok, 0, run), counts)
    _count_clouds(above, row, bright_above[x : x + beyond], above_ok, ok, counts)
    left, right = max(x, 1), min(x + run, width - 1)
    if y > 1 and left < right:
        start = up - x + left
        _count_laplacians(grey, valid, width, start, right - left, counts)


@compiled
def _cut(valid: _Valid, first: int, last: int) -> _Valid:
    if valid is None:
        return None
    return valid[first:last]


@compiled
def _weight(valid: _Valid, x: int) -> np.int32:
    """1 where there is data, else 0."""
    if valid is None:
        return np.int32(1)
    return np.int32(valid[x])


@compiled
def _weigh(
    pixels: _Bytes,
    bands: int,
    valid: _Valid,
    grey: _Bytes,
    bright: _Bytes,
    counts: NDArray[np.int64],
) -> None:
    """Write a row's grey values and where it is bright without colour; count its extremes."""
    saturated = np.int32(0)
    black = np.int32(0)
    if bands == 1:
        for x in range(len(grey)):
            value = np.int32(pixels[x])
            ok = _weight(valid, x)
            grey[x] = np.uint8(value)
            saturated = np.int32(saturated + ok * np.int32(value >= SATURATED_LEVEL))
            black = np.int32(black + ok * np.int32(value <= BLACK_LEVEL))
            bright[x] = np.uint8(value >= CLOUD_LEVEL)
    else:
        for x in range(len(grey)):
            red = np.uint32(pixels[3 * x])
            green = np.uint32(pixels[3 * x + 1])
            blue = np.uint32(pixels[3 * x + 2])
            ok = _weight(valid, x)
            low, high = min(red, green, blue), max(red, green, blue)
            grey[x] = _luma(red, green, blue)
            saturated = np.int32(saturated + ok * np.int32(low >= SATURATED_LEVEL))
            black = np.int32(black + ok * np.int32(high <= BLACK_LEVEL))
            bright[x] = np.uint8((low >= CLOUD_LEVEL) & (np.uint32(high - low) <= CLOUD_SPREAD))
    counts[3] += saturated
    counts[4] += black


@compiled
def _luma(red: np.uint32, green: np.uint32, blue: np.uint32) -> np.uint8:
    """Weigh as Pillow does: 0.299, 0.587 and 0.114 in 16-bit fixed point, rounded."""
    total = red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471)
    return np.uint8(np.uint32(total + np.uint32(0x8000)) >> np.uint32(16))


@compiled
def _count_tone(row: _Bytes, valid: _Valid, counts: NDArray[np.int64]) -> None:
    pixels, total, squares = np.int32(0), np.int32(0), np.int32(0)
    for x in range(len(row)):
        ok = _weight(valid, x)
        value = np.int32(ok * np.int32(row[x]))
        pixels = np.int32(pixels + ok)
        total = np.int32(total + value)
        squares = np.int32(squares + np.int32(value * value))
    counts[0] += pixels
    counts[1] += total
    counts[2] += squares


@compiled
def _count_pairs(
    row: _Bytes, other: _Bytes, valid: _Valid, other_valid: _Valid, counts: NDArray[np.int64]
) -> None:
    pairs, flat = np.int32(0), np.int32(0)
    for x in range(len(row)):
        ok = np.int32(_weight(valid, x) * _weight(other_valid, x))
        step = abs(np.int32(np.int32(row[x]) - np.int32(other[x])))
        pairs = np.int32(pairs + ok)
        flat = np.int32(flat + ok * np.int32(step <= FLAT_STEP))
    counts[5] += pairs
    counts[6] += flat


@compiled
def _count_clouds(
    row: _Bytes,
    below: _Bytes,
    bright: _Bytes,
    valid: _Valid,
    below_valid: _Valid,
    counts: NDArray[np.int64],
) -> None:
    corners, clouds = np.int32(0), np.int32(0)
    for x in range(len(row) - 1):
        ok = np.int32(_weight(valid, x) * _weight(valid, x + 1) * _weight(below_valid, x))
        down = abs(np.int32(np.int32(row[x]) - np.int32(below[x])))
        right = abs(np.int32(np.int32(row[x]) - np.int32(row[x + 1])))
        smooth = (down <= CLOUD_STEP) & (right <= CLOUD_STEP) & (bright[x] != 0)
        corners = np.int32(corners + ok)
        clouds = np.int32(clouds + ok * np.int32(smooth))
    counts[7] += corners
    counts[8] += clouds


@compiled
def _count_laplacians(
    grey: _Bytes, valid: _Valid, width: int, start: int, count: int, counts: NDArray[np.int64]
) -> None:
    """Count around `count` pixels of a row, from flat index `start` on."""
    row, left = grey[start : start + count], grey[start - 1 : start - 1 + count]
    right = grey[start + 1 : start + 1 + count]
    above, below = grey[start - width :][:count], grey[start + width :][:count]
    ok_row, ok_left = _cut(valid, start, start + count), _cut(valid, start - 1, start + count)
    ok_right = _cut(valid, start + 1, start + 1 + count)
    ok_above = _cut(valid, start - width, start - width + count)
    ok_below = _cut(valid, start + width, start + width + count)
    centres, total, squares = np.int32(0), np.int32(0), np.int32(0)
    for x in range(count):
        ok = np.int32(
            _weight(ok_row, x)
            * _weight(ok_left, x)
            * _weight(ok_right, x)
            * _weight(ok_above, x)
            * _weight(ok_below, x)
        )
        around = np.int32(
            np.int32(above[x]) + np.int32(below[x]) + np.int32(left[x]) + np.int32(right[x])
        )
        value = np.int32(ok * np.int32(around - np.int32(4) * np.int32(row[x])))
        centres = np.int32(centres + ok)
        total = np.int32(total + value)
        squares = np.int32(squares + np.int32(value * value))
    counts[9] += centres
    counts[10] += total
    counts[11] += squares
