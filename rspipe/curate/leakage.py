"""Stage 5, leakage: no corpus tile may be a benchmark picture, in any of the 8 orientations.

Every tile that is still in is compared with every held-out tile of every benchmark, all splits:
by bytes, by pixels, and by exact radius search over perceptual hashes with pixel verification.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.clusters import Pair
from rspipe.curate.dedup.matching import Tiles, find_hits
from rspipe.schema import FATE_SCHEMA, HIT_SCHEMA

VERSION = 2


def find_leaks(tiles: pa.Table, fates: pa.Table, config: DedupConfig) -> pa.Table:
    """List every (corpus tile, benchmark tile) that are the same picture.

    Args:
        tiles: the tile table, held-out benchmark tiles included.
        fates: what became of each tile so far, in the same order.
        config: what counts as the same picture.

    Returns:
        HIT_SCHEMA rows, sorted by tile, then benchmark tile.
    """
    parents = tiles["is_parent"].to_numpy(zero_copy_only=False).astype(bool)
    alive = fates["drop_stage"].is_null().to_numpy() & ~parents
    measured = tiles["pixel_hash"].is_valid().to_numpy() & ~parents
    held_out = measured & (tiles["drop_reason"].to_numpy(zero_copy_only=False) == "benchmark_split")
    corpus = tiles.take(pa.array(np.flatnonzero(alive)))
    benchmark = tiles.take(pa.array(np.flatnonzero(held_out)))
    pairs = find_hits(Tiles.from_table(corpus), Tiles.from_table(benchmark), config)
    names = ["tile_id", "dataset", "source_path", "split"]
    ours, theirs = corpus.select(names).to_pylist(), benchmark.select(names).to_pylist()
    return pa.Table.from_pylist(
        [_hit(pair, ours[pair.copy], theirs[pair.original]) for pair in pairs], HIT_SCHEMA
    )


def mark_leaks(fates: pa.Table, hits: pa.Table) -> pa.Table:
    """Drop every tile with a hit; the surest hit is named, all are in the hits table."""
    surest: dict[str, dict[str, Any]] = {}
    for hit in hits.to_pylist():
        known = surest.get(hit["tile_id"])
        if known is None or _surety(hit) < _surety(known):
            surest[hit["tile_id"]] = hit
    rows = [
        row | (_drop(surest[row["tile_id"]]) if row["tile_id"] in surest else {})
        for row in fates.to_pylist()
    ]
    return pa.Table.from_pylist(rows, FATE_SCHEMA)


def _hit(pair: Pair, ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    return {
        "tile_id": ours["tile_id"],
        "dataset": ours["dataset"],
        "source_path": ours["source_path"],
        "benchmark": theirs["dataset"],
        "benchmark_split": theirs["split"],
        "benchmark_path": theirs["source_path"],
        "benchmark_tile_id": theirs["tile_id"],
        "kind": pair.kind,
        "distance_bits": pair.distance_bits,
        "orientation": pair.orientation,
        "similarity": pair.similarity,
    }


def _surety(hit: dict[str, Any]) -> tuple[int, int, str]:
    kinds = ("bytes", "pixels", "near")
    return kinds.index(hit["kind"]), hit["distance_bits"], hit["benchmark_tile_id"]


def _drop(hit: dict[str, Any]) -> dict[str, Any]:
    where = f"{hit['benchmark']}/{hit['benchmark_path']}"
    how = "" if hit["orientation"] == "identity" else f", {hit['orientation']}"
    return {
        "drop_stage": "leakage",
        "drop_reason": "benchmark_leak",
        "drop_detail": f"{hit['kind']} match of {where} ({hit['distance_bits']} bits{how})",
        "benchmark_hit": where,
        "distance_bits": hit["distance_bits"],
        "orientation": hit["orientation"],
        "verified_similarity": hit["similarity"],
    }
