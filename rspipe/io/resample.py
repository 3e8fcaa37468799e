# SPDX-License-Identifier: Apache-2.0
"""Averages over areas: how pictures, rasters and their validity are shrunk.

Neither Pillow's box filter, which counts a pixel by its centre, nor GDAL's average, whose masks say
whether any pixel is valid, gives each pixel the weight of its share of the area.
"""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int]
"""Rows and columns."""
Rows = Callable[[int, int], tuple[NDArray[Any], NDArray[np.bool_] | None]]
"""Rows first..last as values (C, h, W), finite, and whether they are valid (h, W); None: all."""

_HAIR = 1e-6  # of a pixel
_STRIP_PX = 2**22  # read at a time: 32 MB a band in 64-bit floats


def area_average(
    read_rows: Rows, size: Shape, shape: Shape
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Shrink an image by averages over the valid part of each pixel's area, strip by strip.

    Args:
        read_rows: gives some rows of the image.
        size: its rows and columns.
        shape: rows and columns to shrink it to, at most those of `size`.

    Returns:
        Values (C, *shape), 0 where nothing is valid, and bool `shape`: at least half of the area
        is valid.
    """
    rows, columns = shape
    step_y, step_x = size[0] / rows, size[1] / columns
    strip = max(1, int(_STRIP_PX / size[1] / step_y))
    values, valid = [], []
    for top in range(0, rows, strip):
        edges_y = np.arange(top, min(top + strip, rows) + 1) * step_y
        first = int(edges_y[0])
        raw, known = read_rows(first, min(int(np.ceil(edges_y[-1])), size[0]))
        edges_x = np.arange(columns + 1) * step_x
        if known is None:
            sums = _sums(raw, edges_y - first, edges_x)
            areas = np.full(sums.shape[1:], step_y * step_x)
        else:
            sums = _sums(raw * known, edges_y - first, edges_x)
            areas = _sums(known, edges_y - first, edges_x)
        # Sums of floats: nothing may come out as a hair, and half an area as a hair less.
        values.append(np.where(areas > _HAIR, sums / np.maximum(areas, _HAIR), 0.0))
        valid.append(areas >= step_y * step_x / 2 - _HAIR)
    return np.concatenate(values, axis=1), np.concatenate(valid)


def _sums(
    values: NDArray[Any], edges_y: NDArray[np.floating], edges_x: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Sums of (…, H, W) over the cells between edges, which may lie within pixels."""
    return _sums_along(_sums_along(values, edges_x, -1), edges_y, -2)


def _sums_along(
    values: NDArray[Any], edges: NDArray[np.floating], axis: Literal[-1, -2]
) -> NDArray[np.float64]:
    """Sums between edges at least a pixel apart, the last one at or before the end."""
    length = values.shape[axis]
    pixel = np.minimum(edges.astype(np.int64), length)
    begun = np.expand_dims(edges - pixel, tuple(range(1, -axis)))
    # Sums of whole numbers are exact, and quicker in whole numbers.
    kind = np.int64 if values.dtype.kind in "iub" else np.float64
    before_end = values[..., : pixel[-1]] if axis == -1 else values[..., : pixel[-1], :]
    whole = np.add.reduceat(before_end, pixel[:-1], axis=axis, dtype=kind)
    cut = np.take(values, np.minimum(pixel, length - 1), axis=axis) * begun
    parts: NDArray[np.float64] = whole + np.diff(cut, axis=axis)
    return parts
