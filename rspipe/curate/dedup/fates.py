# SPDX-License-Identifier: Apache-2.0
"""The fate of every tile as a table, written by columns."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rspipe.curate.dedup.clusters import Clusters
from rspipe.curate.dedup.pairs import CROP, FOOTPRINT, KINDS, NEAR, Indices, Pairs
from rspipe.curate.dedup.tiles import read_columns, read_rows
from rspipe.curate.dedup.verdict import Verdict
from rspipe.io.places import Place
from rspipe.schema import FATE_SCHEMA, ORIENTATIONS

REASONS = (
    "duplicate_bytes",
    "duplicate_pixels",
    "near_duplicate",
    "overlapping_crop",
    "same_footprint",
)
"""In the order of KINDS."""
IMAGE_REASON = "duplicate_image"

# Of each kind in KINDS what comes before the survivor's name, and behind it.
_BEFORE = pa.array(["of ", "of ", "of ", "overlaps a window of ", "same ground and day as "])


def fates_of(parts: Sequence[Place], starts: Indices, rows: Indices, verdict: Verdict) -> pa.Table:
    """Write what became of each tile.

    Args:
        parts: Parquet files of TILE_SCHEMA.
        starts: row at which each starts.
        rows: row of the whole table of each tile that was judged.
        verdict: what became of those.

    Returns:
        FATE_SCHEMA, one row per row of the parts, in their order.
    """
    own = ["tile_id", "drop_stage", "drop_reason", "drop_detail"]
    schema = pa.schema([FATE_SCHEMA.field(name) for name in own])
    before = pa.concat_tables(
        [schema.empty_table(), *(read_columns(part, own).cast(schema) for part in parts)]
    )
    dropped = verdict.dropped
    survivors = read_rows(
        parts, starts, rows[dropped.original], ["tile_id", "dataset", "source_path"]
    )
    count = before.num_rows
    drops = _spread(_drops(verdict, survivors), rows[dropped.copy], count)
    members = rows[verdict.clusters.rows]
    ids = read_rows(parts, starts, members, ["tile_id"])["tile_id"]
    clusters = _spread(_cluster_columns(verdict.clusters, ids), members, count)
    found = {name: before[name] for name in own} | clusters
    for name, column in drops.items():
        found[name] = pc.coalesce(column, found[name]) if name in found else column
    return pa.table(
        [
            found[f.name].cast(f.type) if f.name in found else pa.nulls(count, f.type)
            for f in FATE_SCHEMA
        ],
        schema=FATE_SCHEMA,
    )


def match_text(pairs: Pairs) -> pa.Array:
    """How alike the two of each pair are, in words: `4 bits, rot90, r=0.991`, or `IoU 0.712`."""
    value = _fixed(pairs.similarity)
    orientations = [f", {name}" if name != "identity" else "" for name in ORIENTATIONS]
    turned = pa.array(orientations).take(pa.array(pairs.orientation))
    bits = pa.array(pairs.distance_bits).cast(pa.string())
    alike = pc.binary_join_element_wise(bits, " bits", turned, ", r=", value, "")
    by_place = pa.array(np.isin(pairs.kind, (CROP, FOOTPRINT)))
    return pc.if_else(by_place, pc.binary_join_element_wise("IoU ", value, ""), alike)


def _drops(verdict: Verdict, survivors: pa.Table) -> dict[str, pa.Array]:
    """The columns that say for whom a tile goes, one row per dropped tile."""
    pairs = verdict.dropped
    kind = pa.array(pairs.kind)
    with_image = pa.array(verdict.with_image)
    name = pc.binary_join_element_wise(survivors["dataset"], survivors["source_path"], "/")
    before = pc.if_else(with_image, "its image is ", _BEFORE.take(kind))
    surest = pc.if_else(
        with_image, pc.binary_join_element_wise(pa.array(KINDS).take(kind), ": ", ""), ""
    )
    by_place = pa.array(pairs.kind > NEAR)
    return {
        "drop_stage": pa.repeat("dedup", len(pairs)),
        "drop_reason": pc.if_else(with_image, IMAGE_REASON, pa.array(REASONS).take(kind)),
        "drop_detail": pc.binary_join_element_wise(
            before, name, " (", surest, match_text(pairs), ")", ""
        ),
        "duplicate_of": survivors["tile_id"],
        "distance_bits": pa.array(pairs.distance_bits).cast(pa.int32()),
        "orientation": pa.array(ORIENTATIONS).take(pa.array(pairs.orientation)),
        "verified_similarity": pc.if_else(by_place, None, pa.array(pairs.similarity)),
        "overlap_iou": pc.if_else(by_place, pa.array(pairs.similarity), None),
    }


def _cluster_columns(clusters: Clusters, ids: pa.ChunkedArray) -> dict[str, pa.Array]:
    """Name each cluster by its smallest tile id."""
    order = pc.sort_indices(ids).to_numpy()
    # In the order of ids, the first member of each cluster is the one that names it.
    label, first = np.unique(clusters.label[order], return_index=True)
    name = np.empty(len(clusters.size), np.int64)
    name[label] = order[first]
    return {
        "cluster_id": ids.take(pa.array(name[clusters.label])),
        "cluster_size": pa.array(clusters.size[clusters.label]),
        "cluster_diameter_bits": pa.array(clusters.diameter_bits[clusters.label]),
    }


def _spread(columns: dict[str, pa.Array], rows: Indices, count: int) -> dict[str, pa.Array]:
    """Put values at their rows of a column that is null elsewhere."""
    index = np.full(count, -1, np.int64)
    index[rows] = np.arange(len(rows))
    places = pa.array(index, mask=index < 0)
    return {name: column.take(places) for name, column in columns.items()}


def _fixed(values: NDArray[np.float32]) -> pa.Array:
    """Format numbers with three digits behind the point.

    >>> _fixed(np.array([0.9996, 0.05, -0.5], np.float32)).to_pylist()
    ['1.000', '0.050', '-0.500']
    """
    thousandths = np.rint(np.abs(values.astype(np.float64)) * 1000).astype(np.int64)
    sign = pc.if_else(pa.array((values < 0) & (thousandths > 0)), "-", "")
    whole = pa.array(thousandths // 1000).cast(pa.string())
    rest = pc.utf8_lpad(pa.array(thousandths % 1000).cast(pa.string()), 3, "0")
    return pc.binary_join_element_wise(sign, whole, ".", rest, "")
