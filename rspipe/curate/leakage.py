# SPDX-License-Identifier: Apache-2.0
"""Stage 6, leakage: no corpus tile may be a benchmark picture, in any of the 8 orientations.

Every tile that was not dropped before dedup, and every whole image that was cut, is compared with
every held-out tile and whole image of every benchmark, all splits: by bytes, by pixels, by exact
radius search over perceptual hashes with pixel verification, and by footprint and day. A whole
image that leaks takes all its tiles along. Copies that dedup has dropped are compared too: they
stay dropped, but whoever trains on their source has to know.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.matching import find_hits
from rspipe.curate.dedup.pairs import KINDS, Flags, Indices, Pairs
from rspipe.curate.dedup.products import ranges
from rspipe.curate.dedup.tiles import Tiles, part_starts, read_rows, read_tiles
from rspipe.curate.progress import Progress, quiet
from rspipe.io.places import Place
from rspipe.schema import EXCLUSION_SCHEMA, FATE_SCHEMA, HIT_SCHEMA, ORIENTATIONS

VERSION = 7

_OURS = ["tile_id", "dataset", "source_path", "source_sha256", "y0", "x0", "h", "w"]
_THEIRS = {
    "dataset": "benchmark",
    "split": "benchmark_split",
    "source_path": "benchmark_path",
    "tile_id": "benchmark_tile_id",
}


def find_leaks(
    parts: Sequence[Place],
    fates: pa.Table,
    config: DedupConfig,
    scratch: Path,
    progress: Progress = quiet,
) -> pa.Table:
    """List every (corpus tile, benchmark tile) that are the same picture.

    Args:
        parts: Parquet files of TILE_SCHEMA, held-out benchmark tiles included.
        fates: what became of each tile so far, in the same order.
        config: what counts as the same picture.
        scratch: folder for what is too large to hold; nothing is left in it.
        progress: told of every part read and of every step.

    Returns:
        HIT_SCHEMA rows, sorted by tile, then benchmark tile, in the order of the parts.
    """
    starts = part_starts(parts)
    stage = fates["drop_stage"]
    looked_at = pc.fill_null(pc.equal(stage, "dedup"), True).to_numpy()

    def in_corpus(table: pa.Table, start: int) -> Flags:
        measured = table["pixel_hash"].is_valid().to_numpy()
        return np.asarray(measured & looked_at[start : start + table.num_rows])

    tiles, rows = read_tiles(parts, starts, in_corpus, scratch / "corpus", progress)
    benchmark, held_out = read_tiles(parts, starts, _is_held_out, scratch / "held_out", progress)
    progress("match", 0, 1)
    pairs = find_hits(tiles, benchmark, config, progress=progress)
    leaking, matched = hits_of_tiles(tiles, pairs)
    return _hits(
        pairs.take(matched),
        parts,
        starts,
        (rows[leaking], rows[pairs.copy[matched]], held_out[pairs.original[matched]]),
    )


def hits_of_tiles(tiles: Tiles, pairs: Pairs) -> tuple[Indices, Indices]:
    """Give the tiles of whole images their image's hits.

    Args:
        tiles: the tiles, parents included.
        pairs: hits of tiles and of parents, each once; the copies are rows of `tiles`.

    Returns:
        Tile and number of its hit in `pairs`; once for each benchmark tile, a tile's own hit going
        before its image's; sorted by tile, then benchmark tile. Parents are no tiles.
    """
    own = np.flatnonzero(~tiles.is_parent)
    order = own[np.argsort(tiles.image[own], kind="stable")]
    images = tiles.image[order]
    of_image = np.flatnonzero(tiles.is_parent[pairs.copy])
    start = np.searchsorted(images, tiles.image[pairs.copy[of_image]], side="left")
    stop = np.searchsorted(images, tiles.image[pairs.copy[of_image]], side="right")
    direct = np.flatnonzero(~tiles.is_parent[pairs.copy])
    tile = np.concatenate([pairs.copy[direct], order[ranges(start, stop - start)]])
    hit = np.concatenate([direct, np.repeat(of_image, stop - start)])
    through_image = np.arange(len(hit)) >= len(direct)
    order = np.lexsort((through_image, pairs.original[hit], tile))
    tile, hit = tile[order], hit[order]
    again = np.zeros(len(hit), np.bool_)
    again[1:] = (tile[1:] == tile[:-1]) & (pairs.original[hit][1:] == pairs.original[hit][:-1])
    return tile[~again], hit[~again]


def exclusion_list(hits: pa.Table) -> pa.Table:
    """List what must not be trained on by whoever reports scores on a benchmark.

    Args:
        hits: HIT_SCHEMA.

    Returns:
        EXCLUSION_SCHEMA, sorted: which window of which published file, for which picture of which
        benchmark, and how sure that is. A whole image that leaks is one row, not one per tile.
    """
    names = [field.name for field in EXCLUSION_SCHEMA]
    return (
        hits.select(names)
        .group_by(names, use_threads=False)
        .aggregate([])
        .sort_by([(name, "ascending") for name in names])
        .cast(EXCLUSION_SCHEMA)
    )


def mark_leaks(fates: pa.Table, hits: pa.Table) -> pa.Table:
    """Drop every tile with a hit; the surest hit is named, all are in the hits table.

    A tile that dedup dropped keeps that fate, and names its benchmark picture.
    """
    kind = pc.index_in(hits["kind"], pa.array(KINDS))
    keyed = hits.append_column("surety", kind)
    order = pc.sort_indices(
        keyed,
        [(n, "ascending") for n in ("tile_id", "surety", "distance_bits", "benchmark_tile_id")],
    )
    keyed = keyed.take(order)
    surest = keyed.take(_first_of_runs(keyed["tile_id"]))
    place = pc.index_in(fates["tile_id"], surest["tile_id"].combine_chunks())
    found = {name: column.take(place) for name, column in _drop_columns(surest).items()}
    survives = fates["drop_stage"].is_null()
    columns = []
    for field in FATE_SCHEMA:
        column = fates[field.name]
        if field.name in found:
            own = field.name == "benchmark_hit"
            new = found[field.name] if own else pc.if_else(survives, found[field.name], None)
            column = pc.coalesce(new.cast(field.type), column)
        columns.append(column)
    return pa.table(columns, schema=FATE_SCHEMA)


def _is_held_out(table: pa.Table, _start: int) -> Flags:
    held_out = pc.fill_null(pc.equal(table["drop_reason"], "benchmark_split"), False)
    return np.asarray(pc.and_(held_out, table["pixel_hash"].is_valid()).to_numpy())


def _hits(
    pairs: Pairs,
    parts: Sequence[Place],
    starts: Indices,
    rows: tuple[Indices, Indices, Indices],
) -> pa.Table:
    """Write the hits; `rows` are those of the leaking tile, of what matched, of the benchmark."""
    leaking, matched, held_out = rows
    ours = read_rows(parts, starts, matched, _OURS)
    theirs = read_rows(parts, starts, held_out, list(_THEIRS))
    found = {name: ours[name] for name in _OURS}
    found |= {
        "tile_id": read_rows(parts, starts, leaking, ["tile_id"])["tile_id"],
        "matched_tile_id": ours["tile_id"],
        "kind": pa.array(KINDS).take(pa.array(pairs.kind)),
        "distance_bits": pa.array(pairs.distance_bits).cast(pa.int32()),
        "orientation": pa.array(ORIENTATIONS).take(pa.array(pairs.orientation)),
        "similarity": pa.array(pairs.similarity),
    }
    found |= {ours_name: theirs[name] for name, ours_name in _THEIRS.items()}
    return pa.table([found[name] for name in HIT_SCHEMA.names], schema=HIT_SCHEMA)


def _first_of_runs(column: pa.ChunkedArray) -> pa.Array:
    """Where each run of equal values of a sorted column starts."""
    codes = column.combine_chunks().dictionary_encode().indices.to_numpy()
    return pa.array(np.flatnonzero(np.diff(codes, prepend=-1)))


def _drop_columns(hits: pa.Table) -> dict[str, pa.ChunkedArray]:
    where = pc.binary_join_element_wise(hits["benchmark"], hits["benchmark_path"], "/")
    upright = pc.equal(hits["orientation"], "identity")
    turned = pc.if_else(upright, "", pc.binary_join_element_wise(", ", hits["orientation"], ""))
    bits = hits["distance_bits"].cast(pa.string())
    through_image = pc.not_equal(hits["matched_tile_id"], hits["tile_id"])
    by_place = pc.equal(hits["kind"], "footprint")
    return {
        "drop_stage": pa.chunked_array([pa.repeat("leakage", hits.num_rows)]),
        "drop_reason": pa.chunked_array([pa.repeat("benchmark_leak", hits.num_rows)]),
        "drop_detail": pc.binary_join_element_wise(
            hits["kind"],
            " match of ",
            where,
            " (",
            bits,
            " bits",
            turned,
            pc.if_else(through_image, ", of the whole image)", ")"),
            "",
        ),
        "benchmark_hit": where,
        "distance_bits": hits["distance_bits"],
        "orientation": hits["orientation"],
        "verified_similarity": pc.if_else(by_place, None, hits["similarity"]),
        "overlap_iou": pc.if_else(by_place, hits["similarity"], None),
    }
