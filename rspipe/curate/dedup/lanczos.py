# SPDX-License-Identifier: Apache-2.0
"""Shrink grey pictures to 32x32 exactly as Pillow's LANCZOS does, about eight times as fast.

Pillow resamples 8-bit pictures in 22-bit fixed point, one direction after the other, rounded to 8
bits in between. Sums of integers do not depend on their order, so the same weights give the same
bytes: those that `imagehash` hashes, since it asks Pillow.

Which direction goes first shows in the last bit. Pillow 13 takes columns first where the height
has more than twice as much to lose as the width; before, it took rows first. Ours is the rule of
Pillow 13, whatever Pillow is installed: a corpus must not depend on that.
Source: Pillow, `Resample.c`; the rule of Pillow 13 as observed, at 18,148 sizes.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.compiled import compiled

THUMBNAIL_PX = 32

_PRECISION_BITS = 22
_HALF = 1 << (_PRECISION_BITS - 1)
_LOBES = 3.0
_ROWS = 4  # rows whose sums are taken at once: they share the weights

_Bytes = NDArray[np.uint8]
_Weights = NDArray[np.int32]


def shrink(grey: _Bytes) -> _Bytes:
    """Shrink (or stretch) a grey image (H, W) to the (32, 32) that is hashed and kept.

    Returns:
        uint8 (32, 32), equal to Pillow's `resize((32, 32), LANCZOS)`.
    """
    height, width = grey.shape
    if height > THUMBNAIL_PX and height - THUMBNAIL_PX > 2 * (width - THUMBNAIL_PX):
        return np.ascontiguousarray(_shrink_rows_first(grey.T).T)
    return _shrink_rows_first(grey)


def _shrink_rows_first(grey: _Bytes) -> _Bytes:
    rows = _narrow(np.ascontiguousarray(grey), *_weights(grey.shape[1]))
    return _flatten(rows, *_weights(grey.shape[0]))


@lru_cache(maxsize=128)
def _weights(size: int) -> tuple[NDArray[np.int64], _Weights]:
    """Where each of the 32 outputs begins to read, and its fixed-point weights."""
    return _compute_weights(size)


@compiled
def _compute_weights(size: int) -> tuple[NDArray[np.int64], _Weights]:
    scale = size / THUMBNAIL_PX
    stretch = max(scale, 1.0)
    support = _LOBES * stretch
    centres = (np.arange(THUMBNAIL_PX) + 0.5) * scale
    firsts = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((centres + support + 0.5).astype(np.int64), size) - firsts
    # Whole vectors of 8, which begin so that zero weights never reach past the picture.
    taps = min((counts.max() + 7) // 8 * 8, size)
    starts = np.minimum(firsts, size - taps)
    weights = np.zeros((THUMBNAIL_PX, taps), dtype=np.int32)
    for i in range(THUMBNAIL_PX):
        centre, first, count = centres[i], firsts[i], counts[i]
        real = np.empty(count)
        total = 0.0
        for x in range(count):
            real[x] = _lanczos((x + first - centre + 0.5) * (1.0 / stretch))
            total += real[x]
        shift = first - starts[i]
        for x in range(count):
            value = real[x] / total * (1 << _PRECISION_BITS)
            weights[i, shift + x] = int(value - 0.5) if value < 0 else int(value + 0.5)
    return starts, weights


@compiled
def _lanczos(x: float) -> float:
    if not -_LOBES <= x < _LOBES:
        return 0.0
    return _sinc(x) * _sinc(x / _LOBES)


@compiled
def _sinc(x: float) -> float:
    if x == 0.0:
        return 1.0
    return math.sin(x * math.pi) / (x * math.pi)


@compiled
def _clip(total: np.int32) -> np.uint8:
    return np.uint8(min(max(np.int32(total >> _PRECISION_BITS), np.int32(0)), np.int32(255)))


@compiled
def _narrow(grey: _Bytes, starts: NDArray[np.int64], weights: _Weights) -> _Bytes:
    """Resample every row to 32 columns: uint8 (H, 32)."""
    height, width = grey.shape
    out = np.empty((height, THUMBNAIL_PX), dtype=np.uint8)
    if width == THUMBNAIL_PX:
        out[:] = grey
        return out
    flat = grey.reshape(-1)
    if height < _ROWS:
        _narrow_one_by_one(flat, width, starts, weights, out)
        return out
    for y in range(0, height, _ROWS):
        # The last few rows are taken again with those above them.
        _narrow_four(flat, width, min(y, height - _ROWS), starts, weights, out)
    return out


@compiled
def _narrow_four(
    flat: _Bytes,
    width: int,
    y: int,
    starts: NDArray[np.int64],
    weights: _Weights,
    out: _Bytes,
) -> None:
    taps = weights.shape[1]
    for i in range(THUMBNAIL_PX):
        first = y * width + starts[i]
        row0 = flat[first : first + taps]
        row1 = flat[first + width : first + width + taps]
        row2 = flat[first + 2 * width : first + 2 * width + taps]
        row3 = flat[first + 3 * width : first + 3 * width + taps]
        weight = weights[i]
        sum0, sum1 = np.int32(_HALF), np.int32(_HALF)
        sum2, sum3 = np.int32(_HALF), np.int32(_HALF)
        for x in range(taps):
            sum0 = np.int32(sum0 + np.int32(np.int32(row0[x]) * weight[x]))
            sum1 = np.int32(sum1 + np.int32(np.int32(row1[x]) * weight[x]))
            sum2 = np.int32(sum2 + np.int32(np.int32(row2[x]) * weight[x]))
            sum3 = np.int32(sum3 + np.int32(np.int32(row3[x]) * weight[x]))
        out[y, i], out[y + 1, i] = _clip(sum0), _clip(sum1)
        out[y + 2, i], out[y + 3, i] = _clip(sum2), _clip(sum3)


@compiled
def _narrow_one_by_one(
    flat: _Bytes, width: int, starts: NDArray[np.int64], weights: _Weights, out: _Bytes
) -> None:
    taps = weights.shape[1]
    for y in range(len(out)):
        for i in range(THUMBNAIL_PX):
            total = np.int32(_HALF)
            for x in range(taps):
                value = np.int32(flat[y * width + starts[i] + x])
                total = np.int32(total + np.int32(value * weights[i, x]))
            out[y, i] = _clip(total)


@compiled
def _flatten(rows: _Bytes, starts: NDArray[np.int64], weights: _Weights) -> _Bytes:
    """Resample 32 columns to 32 rows: uint8 (H, 32) to (32, 32)."""
    if len(rows) == THUMBNAIL_PX:
        return rows
    out = np.empty((THUMBNAIL_PX, THUMBNAIL_PX), dtype=np.uint8)
    taps = weights.shape[1]
    sums = np.empty(THUMBNAIL_PX, dtype=np.int32)
    for j in range(THUMBNAIL_PX):
        sums[:] = _HALF
        for t in range(0, taps - 1, 2):
            row, weight = rows[starts[j] + t], weights[j, t]
            next_row, next_weight = rows[starts[j] + t + 1], weights[j, t + 1]
            for i in range(THUMBNAIL_PX):
                sums[i] += np.int32(np.int32(row[i]) * weight + np.int32(next_row[i]) * next_weight)
        if taps % 2:
            row, weight = rows[starts[j] + taps - 1], weights[j, taps - 1]
            for i in range(THUMBNAIL_PX):
                sums[i] += np.int32(np.int32(row[i]) * weight)
        for i in range(THUMBNAIL_PX):
            out[j, i] = _clip(sums[i])
    return out
