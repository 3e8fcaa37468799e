"""Averages over areas: how pictures, rasters and their validity are shrunk.

Neither Pillow's box filter, which counts a pixel by its centre, nor GDAL's average, whose masks say
whether any pixel is valid, gives each pixel the weight of its share of the area.
"""

from collections.abc import Callable
from typing import Any

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
    by_rows = _sums_along_rows(values.swapaxes(-1, -2), edges_y).swapaxes(-1, -2)
    return _sums_along_rows(by_rows, edges_x)


def _sums_along_rows(values: NDArray[Any], edges: NDArray[np.floating]) -> NDArray[np.float64]:
    length = values.shape[-1]
    whole = np.minimum(edges.astype(np.int64), length - 1)
    total = np.cumsum(values, axis=-1, dtype=np.float64)
    # Sum of all that lies before an edge: the whole pixels, and the begun part of the next.
    before = total[..., whole] - values[..., whole] * (1.0 - np.minimum(edges - whole, 1.0))
    return np.diff(before, axis=-1)
