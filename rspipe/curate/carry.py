"""Carry annotated objects into a tile: moved, scaled, clipped, and marked where they are cut.

A cut oriented box keeps its four corners as they are, beyond the edge of the tile: so its angle and
size stay those of the object, and the published box can be had back by adding the tile's origin.
The smallest rectangle around what is left would lose both: of a ship cut across it makes a square,
of a corner a triangle's. Splitting DOTA as MMRotate does keeps the corners too; the DOTA
development kit does not. `x0 … y1` are around what is left, and lie inside the tile.
"""

from typing import Any

import shapely

from rspipe.schema import Box

Row = dict[str, Any]
_WHOLE = 1 - 1e-6  # corners are 32-bit floats


def carry_boxes(
    boxes: list[Row] | None,
    tile: Box,
    min_share: float,
    mark_cut: bool = False,
    shape: tuple[int, int] | None = None,
) -> list[Row] | None:
    """Move the objects of an image into one of its tiles.

    Args:
        boxes: BOX_TYPE rows in pixels of the image; None: nobody looked.
        tile: its window.
        min_share: an object stays where at least this share of its area lies inside; of an
            oriented one the area within its corners.
        mark_cut: an object below that share stays too, as `difficult`.
        shape: rows and columns of the tile, where it is resampled.

    Returns:
        BOX_TYPE rows in pixels of the tile, clipped to it; `truncated` where a part was cut off.
        Objects without area are left out.
    """
    if boxes is None:
        return None
    rows, columns = shape or (tile.height, tile.width)
    scale_y, scale_x = rows / tile.height, columns / tile.width
    carried = []
    for box in boxes:
        share, inside = _share_inside(box, tile)
        if share <= 0 or (share < min_share and not mark_cut):
            continue
        y0, x0, y1, x1 = inside
        carried.append(
            box
            | {
                "x0": (x0 - tile.x0) * scale_x,
                "y0": (y0 - tile.y0) * scale_y,
                "x1": (x1 - tile.x0) * scale_x,
                "y1": (y1 - tile.y0) * scale_y,
                "corners": _moved(box["corners"], tile, scale_y, scale_x),
                "difficult": box["difficult"] or share < min_share,
                "truncated": bool(box.get("truncated")) or share < _WHOLE,
            }
        )
    return carried


def _share_inside(box: Row, tile: Box) -> tuple[float, tuple[float, float, float, float]]:
    """Share of an object's area inside a window, and y0, x0, y1, x1 of that part."""
    whole = (box["y0"], box["x0"], box["y1"], box["x1"])
    y0, x0 = max(box["y0"], tile.y0), max(box["x0"], tile.x0)
    y1, x1 = min(box["y1"], tile.y1), min(box["x1"], tile.x1)
    area = (box["x1"] - box["x0"]) * (box["y1"] - box["y0"])
    if area <= 0 or x1 <= x0 or y1 <= y0:
        return 0.0, whole
    if box["corners"] is None:
        return (x1 - x0) * (y1 - y0) / area, (y0, x0, y1, x1)
    return _oriented_share(box["corners"], tile, whole)


def _oriented_share(
    corners: list[float], tile: Box, around: tuple[float, float, float, float]
) -> tuple[float, tuple[float, float, float, float]]:
    # Annotators' corners may cross: their convex hull is what they meant.
    polygon = shapely.MultiPoint(list(zip(corners[0::2], corners[1::2], strict=True))).convex_hull
    if polygon.area <= 0:
        return 0.0, around
    left = shapely.clip_by_rect(polygon, tile.x0, tile.y0, tile.x1, tile.y1)
    if left.is_empty or left.area <= 0:
        return 0.0, around
    x0, y0, x1, y1 = (float(v) for v in left.bounds)
    return float(left.area / polygon.area), (y0, x0, y1, x1)


def _moved(
    corners: list[float] | None, tile: Box, scale_y: float, scale_x: float
) -> list[float] | None:
    if corners is None:
        return None
    return [
        (value - tile.y0) * scale_y if i % 2 else (value - tile.x0) * scale_x
        for i, value in enumerate(corners)
    ]
