# SPDX-License-Identifier: Apache-2.0
"""Pairs of tiles that are the same picture, as columns: no object per pair."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import INVERSE
from rspipe.schema import ORIENTATIONS

KINDS = ("bytes", "pixels", "near", "crop", "footprint")
"""Why two tiles are the same picture, the surest first. bytes: the same file; pixels: the same
pixels; near: close hashes and alike thumbnails; crop: windows of one image that overlap;
footprint: the same ground on the same day."""
BYTES, PIXELS, NEAR, CROP, FOOTPRINT = range(len(KINDS))

INVERSE_INDEX = np.array([ORIENTATIONS.index(INVERSE[name]) for name in ORIENTATIONS], np.uint8)
"""Of each index in ORIENTATIONS, that of the orientation that undoes it."""

Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Pairs:
    """P pairs of tiles, each a copy and an original, both row numbers."""

    copy: Indices
    original: Indices
    kind: NDArray[np.uint8]
    """Index in KINDS."""
    distance_bits: NDArray[np.uint8]
    """Between the hashes of the copy and of the turned original; 0 where pixels are equal."""
    orientation: NDArray[np.uint8]
    """Index in ORIENTATIONS: what was done to the original to get the copy."""
    similarity: NDArray[np.float32]
    """Correlation of the thumbnails, -1..1; for crops and footprints the share that the two
    windows or footprints have in common, 0..1."""
    rejected: Flags
    """True where close hashes proposed the pair and its pixels refused it."""

    @classmethod
    def alike(cls, copy: Indices, original: Indices, kind: NDArray[np.uint8] | int) -> "Pairs":
        """Pairs with equal pixels."""
        return cls.of(copy, original, kind, 0, 0, 1.0)

    @classmethod
    def of(
        cls,
        copy: Indices,
        original: Indices,
        kind: NDArray[np.uint8] | int,
        distance_bits: NDArray[np.uint8] | int,
        orientation: NDArray[np.uint8] | int,
        similarity: NDArray[np.floating] | float,
        rejected: Flags | bool = False,
    ) -> "Pairs":
        """Bring columns, or a value that all pairs share, to their types."""
        count = len(copy)
        return cls(
            np.asarray(copy, np.int64),
            np.asarray(original, np.int64),
            _column(kind, count, np.uint8),
            _column(distance_bits, count, np.uint8),
            _column(orientation, count, np.uint8),
            _column(similarity, count, np.float32),
            _column(rejected, count, np.bool_),
        )

    @classmethod
    def empty(cls) -> "Pairs":
        """No pair."""
        none = np.empty(0, np.int64)
        return cls.of(none, none, 0, 0, 0, 0.0)

    @classmethod
    def join(cls, several: Sequence["Pairs"]) -> "Pairs":
        """All pairs of several, in their order."""
        parts = [cls.empty(), *several]
        return cls(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)))

    def __len__(self) -> int:
        return len(self.copy)

    def take(self, chosen: Indices | Flags) -> "Pairs":
        """Some of the pairs, by number or by flag."""
        return Pairs(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def turned(self, flags: Flags) -> "Pairs":
        """Swap copy and original where flagged; the orientation is undone there."""
        return Pairs.of(
            np.where(flags, self.original, self.copy),
            np.where(flags, self.copy, self.original),
            self.kind,
            self.distance_bits,
            np.where(flags, INVERSE_INDEX[self.orientation], self.orientation),
            self.similarity,
            self.rejected,
        )

    def best_last(self, rank: Indices) -> "Pairs":
        """Turn every pair so that its original is the better-ranked of the two."""
        return self.turned(rank[self.original] > rank[self.copy])


def _column(values: object, count: int, dtype: type[np.generic]) -> NDArray:  # type: ignore[type-arg]
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype), count))
