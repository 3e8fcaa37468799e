# SPDX-License-Identifier: Apache-2.0
"""What a corpus's ledger holds, counted exactly: the page shows a sample and says of what.

A row of the page is a tile, kept or dropped, or a file that was dropped before it became tiles.
Whole images (`level` = `parent`) serve lineage, and a file that went on is told by its tiles.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.format import ledger_paths, shard_paths
from rspipe.corpus.reader import Corpus
from rspipe.corpus.stats import GSD_EDGES_M
from rspipe.io.places import Place
from rspipe.io.tables import open_table

KEPT = "kept"
NOT_RECORDED = -2
"""Class of ground resolution and annotation of what was dropped: the ledger has neither."""
UNKNOWN = -1
"""Class of ground resolution of a kept tile that has none."""
ANNOTATIONS = ("label", "boxes", "mask", "caption")
"""Bits of `annotation`, from the lowest."""

KIND_SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("source", pa.string()),
        pa.field("fate", pa.string()),
        pa.field("licence", pa.string()),
        pa.field("benchmark", pa.string()),
        pa.field("gsd", pa.int8()),
        pa.field("annotation", pa.int8()),
    ]
)
"""`key` is a tile's id, or a file's image id; `fate` is `kept` or `stage.reason`; `gsd` is a class
between two of GSD_EDGES_M; `annotation` has a bit for each of ANNOTATIONS."""
DIMENSIONS = tuple(name for name in KIND_SCHEMA.names if name != "key")

Cell = tuple[str, str, str, str, int, int]
"""A combination of values, by DIMENSIONS."""

_LEDGER_COLUMNS = (
    *("level", "tile_id", "image_id", "dataset", "licence"),
    *("drop_stage", "drop_reason", "benchmark_hit"),
)
# One leaf of a nested column is enough to see whether it is null.
_CORPUS_COLUMNS = (
    *("tile_id", "dataset", "licence", "gsd_m", "label", "caption", "mask.path"),
    "boxes.list.element.difficult",
)
_HELD_OUT = "benchmark_split"


def rows_by_kind(corpus: Corpus) -> Iterator[pa.Table]:
    """Go through everything that the page could show, a row group at a time.

    Yields:
        KIND_SCHEMA rows: of the ledger what was dropped, of the corpus what was kept.
    """
    for group in groups_of(ledger_paths(corpus.path), _LEDGER_COLUMNS):
        yield _dropped(group)
    for group in groups_of(shard_paths(corpus.path), _CORPUS_COLUMNS):
        yield _kept(group)


def groups_of(paths: Sequence[Place], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Read columns of some tables, one row group after the other."""
    for path in paths:
        file = open_table(path)
        for index in range(file.num_row_groups):
            yield file.read_row_group(index, columns=list(columns))


def count_cells(rows: pa.Table) -> Counter[Cell]:
    """Count KIND_SCHEMA rows by all their values."""
    counted = rows.group_by(list(DIMENSIONS)).aggregate([([], "count_all")])
    values = (counted[name].to_pylist() for name in (*DIMENSIONS, "count_all"))
    return Counter({cell[:-1]: cell[-1] for cell in zip(*values, strict=True)})


def is_shown(ledger: pa.Table) -> pa.ChunkedArray:
    """Whether ledger rows are rows of the page; a held-out file is told by its tiles."""
    is_tile = pc.equal(ledger["level"], "tile")
    is_held_out = pc.fill_null(pc.equal(ledger["drop_reason"], _HELD_OUT), False)
    is_dropped_file = pc.and_(pc.equal(ledger["level"], "file"), ledger["drop_reason"].is_valid())
    return pc.or_(is_tile, pc.and_not(is_dropped_file, is_held_out))


def fate_of(ledger: pa.Table) -> pa.ChunkedArray:
    """Say `kept` or `stage.reason` of each ledger row."""
    joined = pc.binary_join_element_wise(ledger["drop_stage"], ledger["drop_reason"], ".")
    return pc.fill_null(joined, KEPT)


def key_of(ledger: pa.Table) -> pa.ChunkedArray:
    """Name each ledger row: a tile by its id, a file by its image id."""
    return pc.coalesce(ledger["tile_id"], ledger["image_id"])


def _dropped(ledger: pa.Table) -> pa.Table:
    rows = ledger.filter(pc.and_(is_shown(ledger), ledger["drop_stage"].is_valid()))
    nowhere = pa.array(np.full(len(rows), NOT_RECORDED, np.int8))
    columns = {
        "key": key_of(rows),
        "source": rows["dataset"],
        "fate": fate_of(rows),
        "licence": pc.fill_null(rows["licence"], ""),
        "benchmark": _benchmark_of(rows["benchmark_hit"]),
        "gsd": nowhere,
        "annotation": nowhere,
    }
    return pa.table(columns, KIND_SCHEMA)


def _kept(tiles: pa.Table) -> pa.Table:
    gsd_m = tiles["gsd_m"].to_numpy().astype(np.float64)
    classes = np.where(np.isnan(gsd_m), UNKNOWN, np.digitize(gsd_m, GSD_EDGES_M[1:-1]))
    annotation = sum(
        tiles[name].is_valid().to_numpy().astype(np.int8) << bit
        for bit, name in enumerate(ANNOTATIONS)
    )
    columns = {
        "key": tiles["tile_id"],
        "source": tiles["dataset"],
        "fate": pa.array(np.full(len(tiles), KEPT)),
        "licence": pc.fill_null(tiles["licence"], ""),
        "benchmark": pa.array(np.full(len(tiles), "")),
        "gsd": pa.array(classes.astype(np.int8)),
        "annotation": pa.array(annotation),
    }
    return pa.table(columns, KIND_SCHEMA)


def _benchmark_of(hits: pa.ChunkedArray) -> pa.ChunkedArray:
    """Name the benchmark of `dataset/path`; an empty string where nothing was hit."""
    return pc.fill_null(pc.replace_substring_regex(hits, r"^([^/]*)(?s:.*)$", r"\1"), "")
