# SPDX-License-Identifier: Apache-2.0
"""Which bits two close hashes must agree in: the keys of an exact search.

Cut the 64 bits into bands. Two hashes at most r bits apart differ in at most r bands, wherever
those bits fall. A family of band sets is *exact for r* if no r bands touch all of its sets: then
some set is untouched, and the two hashes agree in all its bits. So it is enough to compare hashes
that agree under one of the family's masks, and nothing is lost.

Two kinds of family are exact by proof, and are checked again by exhaustion in the tests:

- **subsets**: all ways to choose s of r + s bands. r bands leave s untouched. s = 1 is the
  pigeonhole of multi-index hashing (Norouzi et al.), s = 2 of 6 bands makes 15 keys for r = 4.
- **planes**: the bands are the points of the affine space AG(n, q), the sets its hyperplanes.
  To touch every hyperplane takes n (q - 1) + 1 points (Jamison), so that the family is exact for
  r <= n (q - 1), with q (q^n - 1) / (q - 1) keys of 64 / q bits. AG(2, 3), nine bands and their
  twelve lines, does with 12 keys of 21.3 bits what all pairs of 6 bands do with 15.

A longer key makes fewer candidates and needs more keys. `agreement_masks` takes the family with
the least work, counted in nanoseconds as measured on one core. What it takes for a set searched
against itself in 8 orientations, as keys × bits of a key, and in brackets the candidates per key
if hashes are random:

| r | 100 thousand hashes | 1 million | 13.2 million |
|---|---|---|---|
| 0 | 1 × 64 | 1 × 64 | 1 × 64 |
| 1 | 1 of 2 bands: 2 × 32 | 1 of 2: 2 × 32 | 1 of 2: 2 × 32 |
| 2 | 1 of 3: 3 × 21.3 | 1 of 3: 3 × 21.3 | 1 of 3: 3 × 21.3 (5) |
| 3 | 1 of 4: 4 × 16 (2) | 1 of 4: 4 × 16 (15) | 2 of 5: 10 × 25.6 |
| 4 | 1 of 5: 5 × 12.8 (14) | lines of AG(2, 3): 12 × 21.3 | lines of AG(2, 3): 12 × 21.3 (5) |
| 5 | 1 of 6: 6 × 10.7 (62) | 2 of 7: 21 × 18.3 (3) | 2 of 7: 21 × 18.3 (41) |
| 6 | 2 of 8: 28 × 16 (2) | 2 of 8: 28 × 16 (15) | planes of AG(3, 3): 39 × 21.3 (5) |
| 7 | lines of AG(2, 5): 30 × 12.8 (14) | 2 of 9: 36 × 14.2 (52) | 3 of 10: 120 × 19.2 (22) |
| 8 | lines of AG(2, 5): 30 × 12.8 (14) | the same (140) | 3 of 11: 165 × 17.5 (73) |
| 10 | 2 of 12: 66 × 10.7 (62) | 3 of 13: 286 × 14.8 (36) | 4 of 14: 1001 × 18.3 (41) |
| 12 | 2 of 14: 91 × 9.1 (177) | 3 of 15: 455 × 12.8 (140) | 4 of 16: 1820 × 16 (201) |
| 16 | 2 of 18: 153 × 7.1 (723) | 4 of 20: 4845 × 12.8 (140) | 4 of 20: 4845 × 12.8 (1851) |

Source: Norouzi, Punjani, Fleet, Fast Search in Hamming Space with Multi-Index Hashing, CVPR 2012;
Jamison, Covering finite fields with cosets of subspaces, J. Combin. Theory A 22, 1977 (also
Brouwer and Schrijver, The blocking number of an affine space, 1978). Differs: keys of several
bands instead of one band and bit flips.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb

import numpy as np
from numpy.typing import NDArray

MAX_BITS = 16
"""The widest radius there is a family for; at 13 million hashes it is practical up to 8 or so."""

_WORD = 64
_MAX_KEYS = 5_000
_STRIDE = 29
"""Bit p goes to band (29 p mod 64) mod bands, so that no band is made of neighbours. On real tiles,
whose neighbouring coefficients go together, keys then have 2.1 times the candidates of random
hashes; with whole runs of bits 3.6 times, and up to 21 times for single keys."""

_PLANES = ((2, 2), (2, 3), (2, 4), (2, 5), (3, 2), (3, 3), (5, 2))
"""(q, n) of the spaces AG(n, q) in use: a prime q, and at most 32 bands."""

# Measured on one core of an AMD EPYC (Zen 4), per key: to index a hash, to sort and look up one
# that is streamed past, and to compare one candidate (eight in one step).
_INDEX_NS, _PROBE_NS, _CANDIDATE_NS = 20.0, 12.0, 0.3


@dataclass(frozen=True)
class Family:
    """Band sets that are exact for a radius."""

    bands: int
    agreeing: int
    """Bands of each set."""
    keys: int
    sets: Callable[[], Iterator[tuple[int, ...]]]

    def masks(self) -> NDArray[np.uint64]:
        """The sets as bit masks, uint64 (K,)."""
        bits = [
            sum(1 << p for p in range(_WORD) if p * _STRIDE % _WORD % self.bands == band)
            for band in range(self.bands)
        ]
        return np.array([sum(bits[band] for band in chosen) for chosen in self.sets()], np.uint64)

    def cost_ns(self, indexed: int, streamed: int) -> float:
        """Estimated work on one core."""
        candidates = indexed / float(2.0 ** (_WORD * self.agreeing / self.bands))
        probe = _PROBE_NS + _CANDIDATE_NS * candidates
        return self.keys * (_INDEX_NS * indexed + probe * streamed)


def agreement_masks(max_bits: int, indexed: int, streamed: int) -> NDArray[np.uint64]:
    """Choose the masks to search with.

    Args:
        max_bits: radius, 0..MAX_BITS.
        indexed: how many hashes are indexed.
        streamed: how many are looked up.

    Returns:
        uint64 (K,): two hashes at most `max_bits` apart agree in all bits of at least one.

    Raises:
        ValueError: the radius is negative or wider than MAX_BITS.
    """
    if not 0 <= max_bits <= MAX_BITS:
        raise ValueError(f"max_bits={max_bits}: the exact search takes 0..{MAX_BITS} bits")
    families = exact_families(max_bits)
    return min(families, key=lambda family: family.cost_ns(indexed, streamed)).masks()


def exact_families(max_bits: int) -> list[Family]:
    """All families at hand that are exact for a radius."""
    sizes = range(1, _WORD - max_bits + 1)
    subsets = [_subsets(max_bits + s, s) for s in sizes if comb(max_bits + s, s) <= _MAX_KEYS]
    planes = [_planes(q, n) for q, n in _PLANES if n * (q - 1) >= max_bits]
    return subsets + planes


def _subsets(bands: int, agreeing: int) -> Family:
    return Family(
        bands, agreeing, comb(bands, agreeing), lambda: combinations(range(bands), agreeing)
    )


def _planes(q: int, n: int) -> Family:
    """Hyperplanes of AG(n, q): the points x with a·x = c, for each normal a and each c."""
    points = list(product(range(q), repeat=n))
    # One normal of each direction: its first coordinate that is not 0 is 1.
    normals = [a for a in points if next((v for v in a if v), 0) == 1]

    def sets() -> Iterator[tuple[int, ...]]:
        for a, c in product(normals, range(q)):
            on_plane = (sum(u * v for u, v in zip(a, x, strict=True)) % q == c for x in points)
            yield tuple(band for band, on in enumerate(on_plane) if on)

    return Family(q**n, q ** (n - 1), len(normals) * q, sets)
