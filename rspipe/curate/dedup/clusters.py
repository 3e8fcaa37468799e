"""From matching pairs to what is kept: clusters, and one named survivor for every dropped tile.

A tile is dropped only if it matches a kept tile directly. So chaining (A like B, B like C, but A
unlike C) cannot drop a picture that resembles no survivor; the connected component is recorded
as `cluster_id`, with its diameter, for people to look at.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rspipe.curate.dedup.hashing import INVERSE


@dataclass(frozen=True)
class Pair:
    """Two tiles that are the same picture."""

    copy: int
    original: int
    kind: str
    """bytes, pixels or near."""
    distance_bits: int
    orientation: str
    """What was done to the original to get the copy."""
    similarity: float


def component_labels(pairs: list[Pair], count: int) -> NDArray[np.int64]:
    """Number the connected components of `count` tiles: equal label, same cluster."""
    rows = np.array([pair.copy for pair in pairs], dtype=np.int64)
    cols = np.array([pair.original for pair in pairs], dtype=np.int64)
    graph = coo_array((np.ones(len(pairs), dtype=np.int8), (rows, cols)), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    return labels.astype(np.int64)


def choose_dropped(pairs: list[Pair], rank: NDArray[np.int64]) -> dict[int, Pair]:
    """Choose which tiles go, best first: a tile stays unless it matches one that stays.

    Args:
        pairs: matches. Equal tiles (kind bytes or pixels) are linked to the best of them, and
            near matches hold between those best ones (see `matching.find_duplicates`).
        rank: keep rank per tile, smaller is better, all different.

    Returns:
        The dropped tiles, each with the pair, turned so that `original` is kept. Of several
        survivors that match nearly, the one with the smaller distance is named, then the better.
    """
    better: dict[int, list[Pair]] = {}
    equal: dict[int, Pair] = {}
    for pair in pairs:
        turned = pair if rank[pair.original] < rank[pair.copy] else reverse(pair)
        if pair.kind == "near":
            better.setdefault(turned.copy, []).append(turned)
        else:
            equal[turned.copy] = turned
    dropped: dict[int, Pair] = {}
    for tile in sorted(better, key=lambda t: rank[t]):
        kept = [pair for pair in better[tile] if pair.original not in dropped]
        if kept:
            dropped[tile] = min(kept, key=lambda p: (p.distance_bits, rank[p.original]))
    for tile, pair in equal.items():
        # What is equal to a near copy matches that copy's survivor just as directly.
        survivor = dropped.get(pair.original)
        dropped[tile] = pair if survivor is None else replace(survivor, copy=tile)
    return dropped


def reverse(pair: Pair) -> Pair:
    """Swap copy and original; the orientation is undone."""
    return Pair(
        pair.original,
        pair.copy,
        pair.kind,
        pair.distance_bits,
        INVERSE[pair.orientation],
        pair.similarity,
    )
