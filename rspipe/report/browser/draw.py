# SPDX-License-Identifier: Apache-2.0
"""A seeded sample with as many rows of every kind as fit, in memory that the sample bounds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rspipe.corpus.subset import uniform

Strings = NDArray[np.object_]


@dataclass
class Stratum:
    """Rows of one kind: how many there are, and those with the smallest draws."""

    count: int
    draws: NDArray[np.float64]
    keys: Strings

    def keep(self, size: int) -> None:
        """Keep the smallest draws."""
        if len(self.draws) > size:
            smallest = np.argsort(self.draws, kind="stable")[:size]
            self.draws, self.keys = self.draws[smallest], self.keys[smallest]


class Draw:
    """Draws rows by a hash of seed and key, so neither their order nor their batches matter.

    Every kind gets the same number of places; what a small kind leaves goes to the larger ones.

    Args:
        limit: rows to draw at most.
        seed: another one draws others.
    """

    def __init__(self, limit: int, seed: int) -> None:
        self._limit, self._seed = limit, seed
        self.strata: dict[str, Stratum] = {}

    def add(self, kinds: Strings, keys: Strings) -> None:
        """Add rows: the kind and the hexadecimal key of each, every key once."""
        draws = uniform(keys, self._seed)
        names, codes = np.unique(kinds.astype(str), return_inverse=True)
        for code, name in enumerate(names.tolist()):
            of_kind = codes == code
            found = self.strata.setdefault(name, Stratum(0, np.empty(0), np.empty(0, object)))
            found.count += int(of_kind.sum())
            found.draws = np.concatenate([found.draws, draws[of_kind]])
            found.keys = np.concatenate([found.keys, keys[of_kind]])
        # More rows only ever lower the level, so what lies above it now is never drawn.
        self._prune()

    @property
    def level(self) -> int:
        """The most rows that a kind gets; 0 where not every kind gets one."""
        return water_level([stratum.count for stratum in self.strata.values()], self._limit)

    def drawn(self) -> list[str]:
        """Return the keys of the sample, in the order of their draws."""
        self._prune()
        found = [
            (draw, str(key))
            for stratum in self.strata.values()
            for draw, key in zip(stratum.draws.tolist(), stratum.keys.tolist(), strict=True)
        ]
        return [key for _, key in sorted(found)[: self._limit]]

    def _prune(self) -> None:
        """Keep what may still be drawn: where kinds outnumber places, the best of each competes."""
        size = max(self.level, 1)
        for stratum in self.strata.values():
            stratum.keep(size)


def water_level(counts: list[int], limit: int) -> int:
    """Return the largest level such that the counts, cut off at it, sum up to at most the limit.

    >>> water_level([2, 10, 10], limit=12)
    5
    """
    left = limit
    for place, count in enumerate(sorted(counts)):
        share = left // (len(counts) - place)
        if count > share:
            return share
        left -= count
    return max(counts, default=0)
