# SPDX-License-Identifier: Apache-2.0
"""Which boxes of a group overlap: an exact sweep over sorted columns, no object per box."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.pairs import Indices
from rspipe.curate.dedup.products import ranges

_BLOCK_BOXES = 250_000
_SLACK = 1e-6  # of a box's width: rounding may not lose a pair; the share itself is exact

Boxes = NDArray[np.float64]
Share = Literal["union", "smaller"]


def overlapping_boxes(
    group: Indices, boxes: Boxes, min_share: float, over: Share = "union"
) -> Iterator[tuple[Indices, Indices, NDArray[np.float64]]]:
    """Find the pairs of boxes of one group that have enough in common.

    Boxes are laid into rows of cells as high as the group's highest box, and sorted by their left
    edge in each: what a box overlaps starts in its own row, the one above or the one below, and
    not further right than its own right edge.

    Args:
        group: (N,) boxes of different groups are never paired; 0 … any.
        boxes: (N, 4) y0, x0, y1, x1 with y0 < y1 and x0 < x1.
        min_share: least intersection, above 0: as a share of the union, or of the smaller box.
        over: which of the two.

    Yields:
        Blocks of pairs, each pair once, and their shares.
    """
    if not len(boxes):
        return
    row = _cell_rows(group, boxes)
    cells, cell = np.unique(row, return_inverse=True)
    lefts, left = np.unique(boxes[:, 1], return_inverse=True)
    width = len(lefts) + 1
    key = cell * width + left
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    reach = (boxes[:, 3] - boxes[:, 1]) * ((1.0 if over == "smaller" else 1 - min_share) + _SLACK)
    last = np.searchsorted(lefts, boxes[:, 1] + reach, side="right")
    for begin in range(0, len(boxes), _BLOCK_BOXES):
        one = np.arange(begin, min(begin + _BLOCK_BOXES, len(boxes)))
        for step in (-1, 0, 1):
            place = np.minimum(np.searchsorted(cells, row[one] + step), len(cells) - 1)
            there = one[cells[place] == row[one] + step]
            place = place[cells[place] == row[one] + step]
            start = np.searchsorted(ordered, place * width + left[there], side="left")
            stop = np.searchsorted(ordered, place * width + last[there], side="left")
            a = np.repeat(there, stop - start)
            b = order[ranges(start, stop - start)]
            once = (left[a] < left[b]) | (a < b)
            a, b = a[once], b[once]
            share = shares(boxes[a], boxes[b], over)
            enough = share >= min_share
            yield a[enough], b[enough], share[enough]


def shares(a: Boxes, b: Boxes, over: Share = "union") -> NDArray[np.float64]:
    """Intersection of boxes (P, 4), pair by pair, over their union or over the smaller one."""
    height = np.minimum(a[:, 2], b[:, 2]) - np.maximum(a[:, 0], b[:, 0])
    width = np.minimum(a[:, 3], b[:, 3]) - np.maximum(a[:, 1], b[:, 1])
    common = np.maximum(height, 0) * np.maximum(width, 0)
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    whole = areas[0] + areas[1] - common if over == "union" else np.minimum(*areas)
    return np.asarray(common / whole)


def _cell_rows(group: Indices, boxes: Boxes) -> Indices:
    """Number the row of cells that each box starts in; rows of different groups never touch."""
    _, own = np.unique(group, return_inverse=True)
    count = int(own.max()) + 1
    top = np.full(count, np.inf)
    highest = np.zeros(count)
    np.minimum.at(top, own, boxes[:, 0])
    np.maximum.at(highest, own, boxes[:, 2] - boxes[:, 0])
    row = np.floor((boxes[:, 0] - top[own]) / highest[own]).astype(np.int64)
    return np.asarray(own * (int(row.max()) + 3) + row + 1)
