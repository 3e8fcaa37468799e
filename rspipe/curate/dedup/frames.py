"""Close hashes in any of four mirror frames: what one threshold misses, another one finds.

A pHash bit says whether a coefficient lies above the median of all 64. Mirroring a picture changes
the signs of half its coefficients, hence the median: seen in a mirror, the same two pictures
are thresholded elsewhere, and a coefficient that a JPEG or a gamma pushed over the one median
need not cross the other. So a pair is near if it is near in at least one of the four frames that a
mirror can show (a transposition moves the bits, but changes no median). All hashes that this
takes are at hand: they are those of the 8 orientations.

At radius 4 this finds what one frame finds at radius 6, in four searches of 12 keys where the
one takes 39: docs/results/2026-11-25-duplicates.md. Source: none known to us; imagehash, PDQ and
imagededup compare in one frame.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.search import Matches, orientation_pairs
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
"""(4, 8): `hashes[:, FRAMES[f]]` are the hashes of the pictures seen in mirror f, column k those
of the pictures turned by orientation k and then mirrored."""


def framed_pairs(
    queries: Hashes,
    hashes: Hashes | None = None,
    max_bits: int = 4,
    *,
    orientations: int = 8,
    frames: int = len(MIRRORS),
) -> Matches:
    """Find every (copy, original, orientation) at most `max_bits` apart in some frame.

    Args:
        queries: uint64 (Q, 8), hashes in the order of `ORIENTATIONS`.
        hashes: uint64 (N, 8), the originals; None searches `queries` against itself.
        max_bits: radius, inclusive, in bits.
        orientations: 8, or 1 for the identity alone.
        frames: 4, or 1: as `orientation_pairs`.

    Returns:
        As `orientation_pairs`; `distance_bits` is that of the frame in which the two are closest.
    """
    return _closest(
        list(_each_frame(queries, hashes, max_bits, orientations=orientations, frames=frames))
    )


def _each_frame(
    queries: Hashes, hashes: Hashes | None, max_bits: int, *, orientations: int, frames: int
) -> Iterator[Matches]:
    for columns in FRAMES[:frames]:
        own = np.ascontiguousarray(queries[:, columns])
        others = None if hashes is None else np.ascontiguousarray(hashes[:, columns])
        yield orientation_pairs(own, others, max_bits, orientations=orientations)


def _closest(found: list[Matches]) -> Matches:
    """Of the matches of several frames, the closest of each copy, original and orientation."""
    copy = np.concatenate([matches.copy for matches in found])
    original = np.concatenate([matches.original for matches in found])
    orientation = np.concatenate([matches.orientation for matches in found])
    bits = np.concatenate([matches.distance_bits for matches in found])
    order = np.lexsort((bits, orientation, original, copy))
    copy, original, orientation = copy[order], original[order], orientation[order]
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = (
        (copy[1:] != copy[:-1])
        | (original[1:] != original[:-1])
        | (orientation[1:] != orientation[:-1])
    )
    return Matches(copy[first], original[first], orientation[first], bits[order][first])
