# SPDX-License-Identifier: Apache-2.0
"""Boxes as datasets write them → ObjectBox: corners in order, edges in pixels, nothing impossible.

An object that cannot be used (no number, no area) is left out and described; its neighbours and its
image stay. A file of which no object can be used is a fault. Boxes that lie outside their image are
kept as published: sizes that annotation files state are often wrong, and whoever knows the image
(the slicer, the evaluators) clips them and says what was left out.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from rspipe.errors import ReaderError
from rspipe.schema import Annotation, DatasetCard, ObjectBox

ItemT = TypeVar("ItemT")

FARTHEST_PX = 10_000_000
"""Coordinates beyond this are no pixels of any image (32-bit floats hold halves up to here)."""
_MOST_TOLD = 3  # unusable objects of one file that are described; the rest is counted


class UnusableBox(ValueError):
    """An object without a usable box; the message says why."""


@dataclass(frozen=True)
class Parsed:
    """The objects of one image: those that can be used, and why the others cannot."""

    boxes: tuple[ObjectBox, ...] = ()
    unusable: tuple[str, ...] = ()

    def note(self, what: str = "annotation") -> str:
        """Say what the file is, and which of its objects were left out."""
        return f"{what}; {describe(self.unusable, len(self.boxes))}" if self.unusable else what


def parse_each(
    items: Iterable[ItemT],
    parse: Callable[[ItemT], ObjectBox],
    name: str = "object",
) -> Parsed:
    """Parse the objects of one image, each for itself.

    Args:
        items: the objects as the file holds them, in its order.
        parse: makes a box of one of them, or raises UnusableBox.
        name: what an item is called in messages; it is numbered from 1.

    Raises:
        ReaderError: there are objects, and none of them can be used.
    """
    boxes, unusable = [], []
    for number, item in enumerate(items, start=1):
        try:
            boxes.append(parse(item))
        except UnusableBox as error:
            unusable.append(f"{name} {number}: {error}")
    if unusable and not boxes:
        raise ReaderError(describe(tuple(unusable), 0))
    return Parsed(tuple(boxes), tuple(unusable))


def describe(unusable: tuple[str, ...], n_usable: int) -> str:
    """Count the objects that were left out, and describe the first of them.

    >>> describe(("object 2: no area",), 4)
    '1 of 5 objects unusable: object 2: no area'
    """
    told = "; ".join(unusable[:_MOST_TOLD]) + ("; …" if len(unusable) > _MOST_TOLD else "")
    return f"{len(unusable)} of {n_usable + len(unusable)} objects unusable: {told}"


def number(value: Any) -> float:
    """Read one coordinate.

    Raises:
        UnusableBox: no finite number, or one that no image reaches.
    """
    if isinstance(value, bool) or value is None:
        raise UnusableBox(f"{value!r} is no coordinate")
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UnusableBox(f"{str(value)[:40]!r} is no coordinate") from error
    if not abs(found) <= FARTHEST_PX:  # also false for nan
        raise UnusableBox(f"{found:g} is no coordinate")
    return found


def horizontal(
    label: str, edges: Iterable[Any], *, difficult: bool = False, truncated: bool = False
) -> ObjectBox:
    """Build a box from its edges x0, y0, x1, y1.

    Raises:
        UnusableBox: not four coordinates, or no area.

    >>> horizontal("ship", ("1", "2", "5", "7")).x1
    5.0
    """
    try:
        x0, y0, x1, y1 = map(number, edges)
    except ValueError as error:
        raise _not_these(error, f"{label!r} has not four edges") from error
    if x1 <= x0 or y1 <= y0:
        raise UnusableBox(f"{label!r} has no area: x {x0:g}..{x1:g}, y {y0:g}..{y1:g}")
    return ObjectBox(
        label=label, x0=x0, y0=y0, x1=x1, y1=y1, difficult=difficult, truncated=truncated
    )


def from_corners(
    label: str, corners: Iterable[Any], *, difficult: bool = False, truncated: bool = False
) -> ObjectBox:
    """Build an oriented box from four corners x, y, … in order around it.

    Raises:
        UnusableBox: not four corners, or no area.

    >>> from_corners("ship", (0, 1, 4, 1, 4, 3, 0, 3)).y1
    3.0
    """
    try:
        ordered = tuple(map(number, corners))
    except ValueError as error:
        raise _not_these(error, f"{label!r} has not four corners") from error
    if len(ordered) != 8:
        raise UnusableBox(f"{label!r} has {len(ordered) / 2:g} corners, not four")
    if _area(ordered) == 0:
        raise UnusableBox(f"{label!r} has no area: {' '.join(f'{c:g}' for c in ordered)}")
    xs, ys = ordered[0::2], ordered[1::2]
    return ObjectBox(
        label=label,
        x0=min(xs),
        y0=min(ys),
        x1=max(xs),
        y1=max(ys),
        corners=ordered,
        difficult=difficult,
        truncated=truncated,
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


def class_names(card: DatasetCard) -> dict[str, str]:
    """Return class id → name, where the card's classes are a mapping from name to id."""
    classes = card.classes if isinstance(card.classes, dict) else {}
    return {str(key): name for name, key in classes.items()}


def in_pixels(annotation: Annotation, height: int, width: int) -> Annotation:
    """Turn boxes that are shares of the image (YOLO) into pixels; leave others as they are.

    Readers touch no image, so whoever knows the image's size does this: ingest and the evaluators.
    """
    if not annotation.boxes_normalised or annotation.boxes is None:
        return annotation
    boxes = tuple(_scaled(box, height, width) for box in annotation.boxes)
    return annotation.model_copy(update={"boxes": boxes, "boxes_normalised": False})


def _scaled(box: ObjectBox, height: int, width: int) -> ObjectBox:
    units = (width, height) * 4
    corners = box.corners and tuple(c * unit for c, unit in zip(box.corners, units, strict=True))
    return replace(
        box,
        x0=box.x0 * width,
        y0=box.y0 * height,
        x1=box.x1 * width,
        y1=box.y1 * height,
        corners=corners,
    )


def _area(corners: tuple[float, ...]) -> float:
    """Twice the signed area of a quadrilateral (shoelace)."""
    xs, ys = corners[0::2], corners[1::2]
    return sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(4))


def _not_these(error: ValueError, otherwise: str) -> UnusableBox:
    return error if isinstance(error, UnusableBox) else UnusableBox(otherwise)
