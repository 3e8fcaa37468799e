# SPDX-License-Identifier: Apache-2.0
"""Four mirror frames in which hashes are compared: what one threshold misses, another one finds.

A pHash bit says whether a coefficient lies above the median of all 64. Mirroring a picture changes
the signs of half its coefficients, hence the median: seen in a mirror, the same two pictures
are thresholded elsewhere, and a coefficient that a JPEG or a gamma pushed over the one median
need not cross the other. So a pair is near if it is near in at least one of the four frames that a
mirror can show (a transposition moves the bits, but changes no median). All hashes that this
takes are at hand: they are those of the 8 orientations.

At radius 4 this finds what one frame finds at radius 6, and costs about as much: four searches of
12 keys where the one takes 39 (13 million hashes). Figures: docs/results/2026-11-25-duplicates.md.
Source: none known to us; imagehash, PDQ and imagededup compare in one frame.
"""

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import orient
from rspipe.schema import ORIENTATIONS

Hashes = NDArray[np.uint64]

MIRRORS = ("identity", "flip_lr", "flip_ud", "rot180")
"""The frames: what is done to both pictures before they are compared."""


def _columns(mirror: str) -> list[int]:
    """For each orientation, the one that equals it followed by a mirror."""
    places = np.arange(6, dtype=np.uint8).reshape(2, 3)
    seen = [orient(places, name).tolist() for name in ORIENTATIONS]
    return [seen.index(orient(orient(places, name), mirror).tolist()) for name in ORIENTATIONS]


FRAMES = np.array([_columns(mirror) for mirror in MIRRORS])
"""(4, 8): in frame f, the hash of a picture turned by orientation k is its hash FRAMES[f, k]."""


def in_frame(hashes: Hashes, frame: int, orientations: int = len(ORIENTATIONS)) -> Hashes:
    """Hashes of pictures seen in a mirror, in the order of `ORIENTATIONS`.

    Args:
        hashes: uint64 (N, 8).
        frame: index in `MIRRORS`; 0 copies nothing.
        orientations: how many columns are wanted, from the first on.

    Returns:
        uint64 (N, orientations).
    """
    if frame == 0:
        return hashes[:, :orientations]
    return np.ascontiguousarray(hashes[:, FRAMES[frame, :orientations]])
