# SPDX-License-Identifier: Apache-2.0
"""Large images by square windows: drawn around objects in training, in a grid at test.

An object belongs to the windows that hold its centre, and a detection to the window whose middle
is nearest its centre: that one sees most of what is around it.
"""

import numpy as np
from jaxtyping import Bool, Float

from rspipe.evaluate.segmentation.sliding import starts

Place = tuple[int, int]
"""y and x of a window's first pixel."""


def draw_window(
    centres: Float[np.ndarray, "n 2"],
    size_px: tuple[int, int],
    window_px: int,
    rng: np.random.Generator,
) -> Place:
    """Draw a window within an image that holds the centre of an object, drawn too.

    Without objects it lies anywhere. Where the image is smaller than a window, it starts at 0.

    Args:
        centres: x, y of the objects.
        size_px: height and width of the image.
        window_px: side of the window.
        rng: draws.
    """
    chosen = centres[rng.integers(len(centres)), ::-1] if len(centres) else None
    starts_at = []
    for axis, length in enumerate(size_px):
        lowest, highest = 0, max(length - window_px, 0)
        if chosen is not None:
            centre = int(np.clip(chosen[axis], 0, length - 1))
            lowest, highest = max(centre - window_px + 1, 0), min(centre, highest)
        starts_at.append(int(rng.integers(min(lowest, highest), highest + 1)))
    return starts_at[0], starts_at[1]


def lay_windows(size_px: tuple[int, int], window_px: int, stride_px: int) -> list[Place]:
    """Cover an image with windows, row after row; the last ones are flush with its edges."""
    rows, columns = (starts(length, window_px, stride_px) for length in size_px)
    return [(y, x) for y in rows for x in columns]


def within(
    centres: Float[np.ndarray, "n 2"], place: Place, window_px: int
) -> Bool[np.ndarray, " n"]:
    """Say which centres x, y (of the image) a window holds."""
    first = np.array(place[::-1])
    inside: Bool[np.ndarray, "n 2"] = (centres >= first) & (centres < first + window_px)
    held: Bool[np.ndarray, " n"] = np.all(inside, axis=1)
    return held


def nearest(
    centres: Float[np.ndarray, "n 2"], place: Place, places: list[Place], window_px: int
) -> Bool[np.ndarray, " n"]:
    """Say which centres x, y lie nearer to the middle of this window than of any other.

    Halfway between two, the first one has it.
    """
    mine: Bool[np.ndarray, " n"] = np.ones(len(centres), dtype=bool)
    for axis in (0, 1):
        firsts = np.unique([one[axis] for one in places])
        seams = (firsts[:-1] + firsts[1:] + window_px) / 2
        here = np.searchsorted(firsts, place[axis])
        mine = mine & np.equal(np.searchsorted(seams, centres[:, 1 - axis]), here)
    return mine
