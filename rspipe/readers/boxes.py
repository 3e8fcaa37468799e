"""Oriented boxes: corners in order, and the rectangle around them."""

import math

from rspipe.schema import ObjectBox


def from_corners(label: str, corners: tuple[float, ...], difficult: bool = False) -> ObjectBox:
    """Build a box from four corners x, y, … in order.

    >>> from_corners("ship", (0, 1, 4, 1, 4, 3, 0, 3)).y1
    3.0
    """
    xs, ys = corners[0::2], corners[1::2]
    return ObjectBox(
        label=label,
        x0=float(min(xs)),
        y0=float(min(ys)),
        x1=float(max(xs)),
        y1=float(max(ys)),
        corners=tuple(float(c) for c in corners),
        difficult=difficult,
    )


def corners_from_angle(
    cx: float, cy: float, width: float, height: float, angle_rad: float
) -> tuple[float, ...]:
    """Turn centre, size and angle into corners; the angle is clockwise in image axes (y down).

    >>> [round(v, 6) for v in corners_from_angle(2, 1, 4, 2, 0.0)]
    [0.0, 0.0, 4.0, 0.0, 4.0, 2.0, 0.0, 2.0]
    """
    cos, sin = math.cos(angle_rad), math.sin(angle_rad)
    half = ((-width, -height), (width, -height), (width, height), (-width, height))
    return tuple(
        value
        for dx, dy in half
        for value in (cx + (dx * cos - dy * sin) / 2, cy + (dx * sin + dy * cos) / 2)
    )
