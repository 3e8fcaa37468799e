"""Find the pairs of tiles that are the same picture: by bytes, by pixels, or nearly.

One function serves deduplication (a table against itself) and leakage (a corpus against
benchmarks), so both mean the same by "the same picture".
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

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
        spread = self.thumbnails.reshape(len(self), -1).std(axis=1)
        return np.asarray(spread >= min_std)


def find_duplicates(tiles: Tiles, config: DedupConfig) -> list[Pair]:
    """Find the pairs within one set; of several matches of a pair the surest is given."""
    pairs = [
        *_exact_pairs(tiles.byte_keys, tiles.byte_keys, "bytes"),
        *_exact_pairs(tiles.pixel_keys, tiles.pixel_keys, "pixels"),
        *_near_pairs(tiles, tiles, config),
    ]
    surest: dict[tuple[int, int], Pair] = {}
    for pair in pairs:
        if pair.copy > pair.original:
            surest.setdefault((pair.copy, pair.original), pair)
    return [surest[key] for key in sorted(surest)]


def find_hits(tiles: Tiles, benchmark: Tiles, config: DedupConfig) -> list[Pair]:
    """Find the pairs (tile as `copy`, benchmark tile as `original`), one per pair, the surest."""
    pairs = [
        *_exact_pairs(tiles.byte_keys, benchmark.byte_keys, "bytes"),
        *_exact_pairs(tiles.pixel_keys, benchmark.pixel_keys, "pixels"),
        *_near_pairs(tiles, benchmark, config),
    ]
    surest: dict[tuple[int, int], Pair] = {}
    for pair in pairs:
        surest.setdefault((pair.copy, pair.original), pair)
    return [surest[key] for key in sorted(surest)]


def _exact_pairs(
    copies: Sequence[str | None], originals: Sequence[str | None], kind: str
) -> Iterator[Pair]:
    """Pair equal keys. Within one set a group of equals is linked to its first member only."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, key in enumerate(originals):
        if key is not None:
            groups[key].append(index)
    same_set = copies is originals
    for copy, key in enumerate(copies):
        for original in groups.get(key, ())[: 1 if same_set else None] if key else ():
            yield Pair(copy, original, kind, 0, "identity", 1.0)


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
