"""Stage 4, dedup: one survivor for every picture; every copy names the one it was dropped for."""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.clusters import Pair, choose_dropped, component_labels
from rspipe.curate.dedup.matching import Tiles, find_duplicates
from rspipe.schema import FATE_SCHEMA

VERSION = 2

REASONS = {
    "bytes": "duplicate_bytes",
    "pixels": "duplicate_pixels",
    "near": "near_duplicate",
}


def dedup(tiles: pa.Table, config: DedupConfig) -> pa.Table:
    """Mark the copies among the tiles that are still in.

    Args:
        tiles: the tile table, held-out benchmark tiles included (they are left alone).
        config: what counts as the same picture.

    Returns:
        FATE_SCHEMA rows in the order of `tiles`.
    """
    parents = tiles["is_parent"].to_numpy(zero_copy_only=False).astype(bool)
    alive = np.flatnonzero(tiles["drop_stage"].is_null().to_numpy() & ~parents)
    subset = tiles.take(pa.array(alive))
    rank = keep_rank(subset)
    pairs = find_duplicates(Tiles.from_table(subset), config, rank)
    dropped = choose_dropped(pairs, rank)
    clusters = _describe_clusters(pairs, subset["tile_id"].to_pylist())
    fates = _initial_fates(tiles)
    ids = subset["tile_id"].to_pylist()
    for index, row in enumerate(alive):
        fates[row] |= clusters.get(index, {})
        if index in dropped:
            fates[row] |= _drop(dropped[index], subset, ids)
    return pa.Table.from_pylist(fates, FATE_SCHEMA)


def keep_rank(tiles: pa.Table) -> NDArray[np.int64]:
    """Rank tiles by how much we would rather keep them; 0 is best, all different.

    The rule: annotated over not; redistributable over not; larger over smaller; a published file
    over a cut; then dataset, path and window by name, so that the choice is the same everywhere.
    """
    rows = tiles.select(
        [
            *("label", "boxes", "mask_path", "redistributable", "height", "width"),
            *("original_bytes", "dataset", "source_path", "y0", "x0"),
        ]
    ).to_pylist()
    order = sorted(range(len(rows)), key=lambda i: _keep_key(rows[i]))
    rank = np.empty(len(rows), dtype=np.int64)
    rank[order] = np.arange(len(rows))
    return rank


def _keep_key(row: dict[str, Any]) -> tuple[Any, ...]:
    annotated = any(row[key] is not None for key in ("label", "boxes", "mask_path"))
    return (
        not annotated,
        row["redistributable"] is not True,
        -row["height"] * row["width"],
        not row["original_bytes"],
        row["dataset"],
        # A path in the dataset's own folders before one copied deeper, or under a longer name.
        row["source_path"].count("/"),
        row["source_path"],
        row["y0"],
        row["x0"],
    )


def _initial_fates(tiles: pa.Table) -> list[dict[str, Any]]:
    columns = ["tile_id", "drop_stage", "drop_reason", "drop_detail"]
    return [dict(row) for row in tiles.select(columns).to_pylist()]


def _describe_clusters(pairs: list[Pair], ids: list[str]) -> dict[int, dict[str, Any]]:
    """Name each cluster by its smallest tile id; the diameter is its widest matched pair."""
    labels = component_labels(pairs, len(ids))
    diameters: dict[int, int] = {}
    members: dict[int, set[int]] = {}
    for pair in pairs:
        label = int(labels[pair.copy])
        diameters[label] = max(diameters.get(label, 0), pair.distance_bits)
        members.setdefault(label, set()).update((pair.copy, pair.original))
    return {
        index: {
            "cluster_id": min(ids[i] for i in group),
            "cluster_diameter_bits": diameters[label],
        }
        for label, group in members.items()
        for index in group
    }


def _drop(pair: Pair, tiles: pa.Table, ids: list[str]) -> dict[str, Any]:
    kept = f"{tiles['dataset'][pair.original]}/{tiles['source_path'][pair.original]}"
    how = "" if pair.orientation == "identity" else f", {pair.orientation}"
    return {
        "drop_stage": "dedup",
        "drop_reason": REASONS[pair.kind],
        "drop_detail": f"of {kept} ({pair.distance_bits} bits{how}, r={pair.similarity:.3f})",
        "duplicate_of": ids[pair.original],
        "distance_bits": pair.distance_bits,
        "orientation": pair.orientation,
        "verified_similarity": pair.similarity,
    }
