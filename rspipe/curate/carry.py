# SPDX-License-Identifier: Apache-2.0
"""Carry annotated objects into tiles: moved, scaled, clipped, and marked where they are cut.

A cut oriented box keeps its four corners as they are, beyond the edge of the tile: so its angle and
size stay those of the object, and the published box can be had back by adding the tile's origin.
The smallest rectangle around what is left would lose both: of a ship cut across it makes a square,
of a corner a triangle's. Splitting DOTA as MMRotate does keeps the corners too; the DOTA
development kit does not. `x0 … y1` are around what is left, and lie inside the tile.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rspipe.curate.config import SliceConfig
from rspipe.io.outlines import Outlines
from rspipe.schema import Box

Row = dict[str, Any]
Shape = tuple[int, int]
_WHOLE = 1 - 1e-6  # corners are 32-bit floats


@dataclass(frozen=True)
class Objects:
    """The N objects of one image."""

    boxes: list[Row]
    """BOX_TYPE rows in pixels of the image."""
    areas: list[shapely.Geometry | None]
    """What an object covers, where it is not its upright box."""
    bounds: NDArray[np.float64]
    """(N, 4): y0, x0, y1, x1."""

    @classmethod
    def from_boxes(cls, boxes: list[Row]) -> "Objects":
        """Take the objects of an image's row."""
        areas = [None if box["corners"] is None else _area(box["corners"]) for box in boxes]
        return cls(boxes, areas, _bounds(boxes))

    @classmethod
    def from_outlines(cls, outlines: Outlines) -> "Objects":
        """Make upright boxes of outlined areas; their shares are those of the areas."""
        found = [outline for outline in outlines.objects if not outline.is_buffer]
        boxes = [_box_around(outline.shape, outline.label) for outline in found]
        return cls(boxes, [outline.shape for outline in found], _bounds(boxes))

    def note(self, height: int, width: int) -> str | None:
        """Say how many objects of an image of this size no tile can carry, and why."""
        y0, x0, y1, x1 = self.bounds.T
        flat = np.array([area is not None and area.area <= 0 for area in self.areas], dtype=bool)
        flat |= (y1 <= y0) | (x1 <= x0)
        outside = ~flat & ((y1 <= 0) | (x1 <= 0) | (y0 >= height) | (x0 >= width))
        counts = {"without area": int(flat.sum()), "outside the image": int(outside.sum())}
        said = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
        return f"objects left out: {said}" if said else None

    def in_tile(self, tile: Box, config: SliceConfig, shape: Shape | None = None) -> list[Row]:
        """Move the objects into a tile.

        Args:
            tile: its window.
            config: `min_box_share`: an object stays where at least this share of its area lies
                inside; `mark_cut`: below that share it stays too, as `difficult`.
            shape: rows and columns of the tile, where it is resampled.

        Returns:
            BOX_TYPE rows in pixels of the tile, clipped to it; `truncated` where a part was cut
            off. Objects without area are left out.
        """
        y0, x0, y1, x1 = self.bounds.T
        near = (y0 < tile.y1) & (x0 < tile.x1) & (y1 > tile.y0) & (x1 > tile.x0)
        carried = []
        for index in np.flatnonzero(near):
            share, inside = self._share_inside(int(index), tile)
            if share > 0 and (share >= config.min_box_share or config.mark_cut):
                box = _moved(self.boxes[index], inside, tile, shape)
                box["difficult"] = box["difficult"] or share < config.min_box_share
                box["truncated"] = bool(box["truncated"]) or share < _WHOLE
                carried.append(box)
        return carried

    def _share_inside(self, index: int, tile: Box) -> tuple[float, tuple[float, ...]]:
        """Share of an object's area inside a window, and y0, x0, y1, x1 of that part."""
        y0, x0, y1, x1 = (float(v) for v in self.bounds[index])
        area = self.areas[index]
        if area is None:
            part = (max(y0, tile.y0), max(x0, tile.x0), min(y1, tile.y1), min(x1, tile.x1))
            whole = (y1 - y0) * (x1 - x0)
            if whole <= 0:
                return 0.0, part
            return (part[2] - part[0]) * (part[3] - part[1]) / whole, part
        if area.area <= 0:
            return 0.0, ()
        left = shapely.intersection(area, shapely.box(tile.x0, tile.y0, tile.x1, tile.y1))
        if left.area <= 0:
            return 0.0, ()
        return float(left.area / area.area), _around(left)


def _area(corners: list[float]) -> shapely.Geometry:
    # Annotators' corners may cross: their convex hull is what they meant.
    return shapely.MultiPoint(list(zip(corners[0::2], corners[1::2], strict=True))).convex_hull


def _bounds(boxes: list[Row]) -> NDArray[np.float64]:
    values = [(box["y0"], box["x0"], box["y1"], box["x1"]) for box in boxes]
    return np.array(values, dtype=np.float64).reshape(-1, 4)


def _around(shape: shapely.Geometry) -> tuple[float, ...]:
    x0, y0, x1, y1 = (float(v) for v in shape.bounds)
    return y0, x0, y1, x1


def _box_around(shape: shapely.Geometry, label: str) -> Row:
    sides = dict(zip(("y0", "x0", "y1", "x1"), _around(shape), strict=True))
    return {"label": label, **sides, "corners": None, "difficult": False, "truncated": False}


def _moved(box: Row, inside: tuple[float, ...], tile: Box, shape: Shape | None) -> Row:
    """Bring a box and its corners into the pixels of a tile."""
    rows, columns = shape or (tile.height, tile.width)
    scale_y, scale_x = rows / tile.height, columns / tile.width
    y0, x0, y1, x1 = inside
    corners = box["corners"]
    if corners is not None:
        corners = [
            (value - tile.y0) * scale_y if i % 2 else (value - tile.x0) * scale_x
            for i, value in enumerate(corners)
        ]
    return box | {
        "x0": (x0 - tile.x0) * scale_x,
        "y0": (y0 - tile.y0) * scale_y,
        "x1": (x1 - tile.x0) * scale_x,
        "y1": (y1 - tile.y0) * scale_y,
        "corners": corners,
    }
