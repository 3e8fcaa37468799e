"""Find the pairs of tiles that are the same picture: by bytes, by pixels, or nearly.

One function serves deduplication (a table against itself) and leakage (a corpus against
benchmarks), so both mean the same by "the same picture".
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.clusters import Pair, reverse
from rspipe.curate.dedup.hashing import THUMBNAIL_PX
from rspipe.curate.dedup.search import radius_pairs
from rspipe.curate.dedup.verify import similarity
from rspipe.schema import ORIENTATIONS

COLUMNS = (
    "source_sha256",
    "original_bytes",
    "pixel_hash",
    "orientation_hashes",
    "thumbnail",
)
"""Columns of the tile table that matching reads."""


@dataclass(frozen=True)
class Tiles:
    """The hashes of N tiles."""

    byte_keys: list[str | None]
    """Hash of the file where the tile is a whole file, else None."""
    pixel_keys: list[str]
    hashes: NDArray[np.uint64]
    """(N, 8), one per orientation."""
    thumbnails: NDArray[np.uint8]
    """(N, 32, 32) grey."""

    @classmethod
    def from_table(cls, table: pa.Table) -> "Tiles":
        """Take the hashes of measured tiles out of a tile table with `COLUMNS`."""
        shas, whole = table["source_sha256"].to_pylist(), table["original_bytes"].to_pylist()
        hashes = table["orientation_hashes"].combine_chunks().flatten().to_numpy()
        thumbnails = np.frombuffer(b"".join(table["thumbnail"].to_pylist()), dtype=np.uint8)
        return cls(
            [sha if is_whole else None for sha, is_whole in zip(shas, whole, strict=True)],
            table["pixel_hash"].to_pylist(),
            hashes.reshape(-1, len(ORIENTATIONS)),
            thumbnails.reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX),
        )

    def __len__(self) -> int:
        return len(self.pixel_keys)

    def has_content(self, min_std: float) -> NDArray[np.bool_]:
        """Whether a tile's picture varies enough for its hash to mean anything."""
        spread = self.thumbnails.std(axis=(1, 2))
        return np.asarray(spread >= min_std)

    def take(self, rows: NDArray[np.int64]) -> "Tiles":
        """Some of the tiles, in the order given."""
        return Tiles(
            [self.byte_keys[i] for i in rows],
            [self.pixel_keys[i] for i in rows],
            self.hashes[rows],
            self.thumbnails[rows],
        )


def find_duplicates(tiles: Tiles, config: DedupConfig, rank: NDArray[np.int64]) -> list[Pair]:
    """Find the pairs within one set, as `clusters.choose_dropped` wants them.

    Tiles with equal pixels are linked to the best-ranked of them; near matches are searched among
    those best ones only, so that thousands of equal tiles cost no more than one.

    Args:
        tiles: the tiles.
        config: what counts as the same picture.
        rank: keep rank per tile, smaller is better.
    """
    best: dict[str, int] = {}
    for index in np.argsort(rank):
        best.setdefault(tiles.pixel_keys[index], int(index))
    equal = [
        Pair(index, best[key], _kind_of_equals(tiles, index, best[key]), 0, "identity", 1.0)
        for index, key in enumerate(tiles.pixel_keys)
        if best[key] != index
    ]
    hubs = np.array(sorted(best.values()), dtype=np.int64)
    distinct = tiles.take(hubs)
    near = _near_pairs(distinct, distinct, config)
    return [
        *equal,
        *(
            replace(pair, copy=int(hubs[pair.copy]), original=int(hubs[pair.original]))
            for pair in sorted(near, key=lambda p: (p.copy, p.original))
            if pair.copy > pair.original
        ),
    ]


def find_hits(tiles: Tiles, benchmark: Tiles, config: DedupConfig) -> list[Pair]:
    """Find the pairs (tile as `copy`, benchmark tile as `original`), one per pair, the surest."""
    by_key: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(benchmark.pixel_keys):
        by_key[key].append(index)
    surest = {
        (copy, original): Pair(copy, original, kind, 0, "identity", 1.0)
        for copy, key in enumerate(tiles.pixel_keys)
        for original in by_key.get(key, ())
        for kind in [_kind_of_equals(tiles, copy, original, benchmark)]
    }
    for pair in _near_pairs(tiles, benchmark, config):
        surest.setdefault((pair.copy, pair.original), pair)
    return [surest[key] for key in sorted(surest)]


def _kind_of_equals(tiles: Tiles, copy: int, original: int, others: Tiles | None = None) -> str:
    """Say whether two tiles with equal pixels are even the same file."""
    key = tiles.byte_keys[copy]
    same = key is not None and key == (others or tiles).byte_keys[original]
    return "bytes" if same else "pixels"


def _near_pairs(tiles: Tiles, others: Tiles, config: DedupConfig) -> Iterator[Pair]:
    """Pair tiles whose hashes are close in some orientation and whose thumbnails then agree."""
    rows = np.flatnonzero(tiles.has_content(config.min_thumbnail_std))
    columns = np.flatnonzero(others.has_content(config.min_thumbnail_std))
    count = len(ORIENTATIONS) if config.orientations else 1
    best: dict[tuple[int, int], Pair] = {}
    for k in range(count):
        # hash of the turned original close to the copy's own: the copy is the original turned.
        found, at, bits = radius_pairs(
            others.hashes[columns, k], tiles.hashes[rows, 0], config.max_hamming_bits
        )
        for original, copy, distance in zip(columns[found], rows[at], bits, strict=True):
            if tiles is others and copy == original:
                continue
            pair = _verified(tiles, others, int(copy), int(original), int(distance), k)
            for found_pair in (pair, reverse(pair)) if tiles is others else (pair,):
                key = (found_pair.copy, found_pair.original)
                if found_pair.similarity >= config.min_similarity and (
                    key not in best or found_pair.similarity > best[key].similarity
                ):
                    best[key] = found_pair
    yield from best.values()


def _verified(tiles: Tiles, others: Tiles, copy: int, original: int, distance: int, k: int) -> Pair:
    alike = similarity(tiles.thumbnails[copy], others.thumbnails[original], ORIENTATIONS[k])
    return Pair(copy, original, "near", distance, ORIENTATIONS[k], alike)
