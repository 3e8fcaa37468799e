# SPDX-License-Identifier: Apache-2.0
"""The rows that the page holds: those drawn, and those without which their stories break off.

A duplicate needs its survivor, a survivor some of its copies, a leak its benchmark's picture and a
window its neighbours. The ledger is read row group by row group; only what the page shows is kept.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.format import HITS, ledger_paths
from rspipe.corpus.reader import Corpus
from rspipe.io.tables import open_table
from rspipe.report.browser.census import KEPT, fate_of, groups_of, is_shown, key_of
from rspipe.schema import HIT_SCHEMA, LEDGER_SCHEMA

COPIES_SHOWN = 12
"""Copies of one survivor that are shown; all are counted."""
WINDOWS_SHOWN = 1_024
"""Windows of one image that are drawn; an image of more is shown without."""
_NEIGHBOURHOOD = 512
"""Tiles of one image that are brought along so that the image can be seen, or none of them."""
_NEIGHBOUR_SHARE = 0.25
"""Tiles that are brought along for this, over the tiles drawn."""

_LINKS = ("tile_id", "duplicate_of")
_WINDOW_COLUMNS = (
    *("level", "tile_id", "image_id", "dataset", "source_path", "y0", "x0", "h", "w"),
    *("drop_stage", "drop_reason", "mean_grey"),
)
WINDOW_SCHEMA = pa.schema(
    [
        *(LEDGER_SCHEMA.field(name) for name in _WINDOW_COLUMNS if not name.startswith("drop_")),
        pa.field("fate", pa.string()),
    ]
)
"""Tiles and whole images (`level`) of the images that are shown cut."""


@dataclass(frozen=True)
class Gathered:
    """Everything of the ledger that the page holds."""

    rows: pa.Table
    """LEDGER_SCHEMA, the drawn ones first, in the order of their draws; then their companions."""
    copies: dict[str, int]
    """How many rows were dropped for a tile, of those that are shown."""
    hits: pa.Table
    """HIT_SCHEMA: of a tile that is shown, or of a benchmark's tile that is."""
    windows: pa.Table
    """WINDOW_SCHEMA."""


def gather(corpus: Corpus, drawn: Sequence[str]) -> Gathered:
    """Read the drawn rows and their companions.

    Args:
        corpus: a finished corpus.
        drawn: keys of the rows, as `census.key_of` names them.
    """
    links = _links(corpus, pa.array(drawn, pa.string()))
    hits = _hits(corpus, pa.array(drawn, pa.string()), len(drawn))
    copies = _some_copies(links, drawn)
    companions = [
        *_survivors(links, drawn),
        *copies.to_pylist(),
        *hits["benchmark_tile_id"].to_pylist(),
        *hits["tile_id"].to_pylist(),
    ]
    keys = unique([*drawn, *companions])
    rows = _rows(corpus, keys)
    windows = _windows(corpus, rows)
    more = _neighbours(windows, keys, int(_NEIGHBOUR_SHARE * len(drawn)))
    if more:
        rows = pa.concat_tables([rows, _rows(corpus, more)])
    return Gathered(rows, _count_copies(links, rows), hits, windows)


def unique(keys: Iterable[str | None]) -> list[str]:
    """Drop nulls and repetitions; the order stays."""
    return [key for key in dict.fromkeys(keys) if key is not None]


def _links(corpus: Corpus, drawn: pa.Array) -> pa.Table:
    """Find which tile was dropped for which, of those that are drawn."""
    schema = pa.schema([LEDGER_SCHEMA.field(name) for name in _LINKS])
    found = [schema.empty_table()]
    for group in groups_of(ledger_paths(corpus.path), _LINKS):
        matched = group.filter(group["duplicate_of"].is_valid())
        wanted = pc.or_(
            pc.is_in(matched["tile_id"], value_set=drawn),
            pc.is_in(matched["duplicate_of"], value_set=drawn),
        )
        found.append(matched.filter(wanted).select(schema.names))
    return pa.concat_tables(found)


def _survivors(links: pa.Table, drawn: Sequence[str]) -> list[str]:
    is_drawn = pc.is_in(links["tile_id"], value_set=pa.array(drawn, pa.string()))
    return list(links.filter(is_drawn)["duplicate_of"].unique().to_pylist())


def _some_copies(links: pa.Table, drawn: Sequence[str]) -> pa.ChunkedArray:
    """Choose the first copies of each survivor by id, and no more than are drawn."""
    ordered = links.sort_by([("duplicate_of", "ascending"), ("tile_id", "ascending")])
    survivors = ordered["duplicate_of"].to_numpy(zero_copy_only=False)
    if not len(survivors):
        return ordered["tile_id"]
    is_first = np.concatenate([[True], survivors[1:] != survivors[:-1]])
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(survivors)), 0))
    is_early = np.arange(len(survivors)) - starts < COPIES_SHOWN
    is_of_drawn = pc.is_in(ordered["duplicate_of"], value_set=pa.array(drawn, pa.string()))
    chosen = ordered.filter(pc.and_(pa.array(is_early), is_of_drawn.combine_chunks()))
    return chosen["tile_id"][: len(drawn)]


def _count_copies(links: pa.Table, rows: pa.Table) -> dict[str, int]:
    of_shown = links.filter(pc.is_in(links["duplicate_of"], value_set=_ids(rows)))
    counted = of_shown.group_by(["duplicate_of"]).aggregate([([], "count_all")])
    names, counts = (counted[name].to_pylist() for name in ("duplicate_of", "count_all"))
    return dict(zip(names, counts, strict=True))


def _hits(corpus: Corpus, drawn: pa.Array, limit: int) -> pa.Table:
    """Find the hits of the drawn rows, at most as many as are drawn."""
    found = [HIT_SCHEMA.empty_table()]
    for group in hit_groups(corpus, HIT_SCHEMA.names):
        wanted = pc.or_(
            pc.is_in(group["tile_id"], value_set=drawn),
            pc.is_in(group["benchmark_tile_id"], value_set=drawn),
        )
        found.append(group.filter(wanted))
    return pa.concat_tables(found).sort_by(
        [("tile_id", "ascending"), ("benchmark_tile_id", "ascending")]
    )[:limit]


def hit_groups(corpus: Corpus, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Go through the benchmark hits, a row group at a time; older corpora have no such table."""
    path = corpus.path / HITS
    if path.is_file():
        for index in range(open_table(path).num_row_groups):
            yield open_table(path).read_row_group(index, columns=list(columns))


def _rows(corpus: Corpus, keys: Sequence[str]) -> pa.Table:
    """Read whole ledger rows, in the order of their keys; a parent is no row of the page."""
    wanted = pa.array(keys, pa.string())
    found = [LEDGER_SCHEMA.empty_table()]
    for group in groups_of(ledger_paths(corpus.path), LEDGER_SCHEMA.names):
        of_page = pc.and_(is_shown(group), pc.is_in(key_of(group), value_set=wanted))
        found.append(group.filter(of_page))
    rows = pa.concat_tables(found).combine_chunks()
    place = pc.index_in(key_of(rows), value_set=wanted)
    return rows.take(pc.sort_indices(place))


def _windows(corpus: Corpus, rows: pa.Table) -> pa.Table:
    """Find the tiles of the images that are shown cut, in the order of their images."""
    is_cut = pc.and_(pc.equal(rows["level"], "tile"), pc.invert(rows["original_bytes"]))
    images = rows.filter(pc.fill_null(is_cut, False))["image_id"].unique()
    found = [WINDOW_SCHEMA.empty_table()]
    for group in groups_of(ledger_paths(corpus.path), _WINDOW_COLUMNS):
        is_window = pc.and_(
            pc.not_equal(group["level"], "file"), pc.is_in(group["image_id"], value_set=images)
        )
        of_group = group.filter(is_window)
        fates = fate_of(of_group)
        found.append(of_group.append_column("fate", fates).select(WINDOW_SCHEMA.names))
    windows = pa.concat_tables(found).combine_chunks()
    order = pc.index_in(windows["image_id"], value_set=images)
    return windows.append_column("order", order).sort_by(
        [("order", "ascending"), ("level", "ascending"), ("y0", "ascending"), ("x0", "ascending")]
    )


def _neighbours(windows: pa.Table, keys: Sequence[str], budget: int) -> list[str]:
    """Choose kept tiles to bring along, whole images at a time, until the budget is spent."""
    is_kept = pc.and_(pc.equal(windows["level"], "tile"), pc.equal(windows["fate"], KEPT))
    kept = windows.filter(is_kept)
    new = kept.filter(pc.invert(pc.is_in(kept["tile_id"], value_set=pa.array(keys, pa.string()))))
    orders, starts = np.unique(new["order"].to_numpy(), return_index=True)
    tiles = new["tile_id"]
    chosen: list[str] = []
    ends = [*starts[1:].tolist(), len(tiles)][: len(orders)]
    for start, end in zip(starts.tolist(), ends, strict=True):
        if end - start <= min(_NEIGHBOURHOOD, budget - len(chosen)):
            chosen += tiles[start:end].to_pylist()
    return chosen


def _ids(rows: pa.Table) -> pa.Array:
    return rows["tile_id"].drop_null().combine_chunks()
