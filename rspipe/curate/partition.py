# SPDX-License-Identifier: Apache-2.0
"""The tables of one partition, and their rows in the order of the ledger.

Partitions are cut from listings that are sorted by data set and path. So what is in order within
each partition is in order over all of them, one after the other, and nothing has to hold them all.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.io.places import Place
from rspipe.io.tables import count_rows, read_table
from rspipe.schema import FATE_SCHEMA, IMAGE_SCHEMA, LEDGER_SCHEMA, TILE_SCHEMA

Result = TypeVar("Result")

_READERS = 8
_PLACE = ("dataset", "source_path", "y0", "x0")
_ORDER = ("dataset", "source_path", "level", "y0", "x0")
_FATE_OF = {name: FATE_SCHEMA.field(name) for name in FATE_SCHEMA.names if name != "tile_id"}


@dataclass(frozen=True)
class Partition:
    """Where the tables of one partition lie."""

    images: Place
    """IMAGE_SCHEMA after exclude: one row per file."""
    tiles: Place
    """TILE_SCHEMA after screen: one row per tile, and one per image that was cut."""
    fates: Place
    """FATE_SCHEMA after leakage, in the row order of `tiles`."""

    def count_ledger_rows(self) -> int:
        """Count the rows that this partition adds to the ledger."""
        return count_rows(self.images) + count_rows(self.tiles)

    def read_tiles(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of the tiles, those of FATE_SCHEMA after leakage, in row order.

        Raises:
            DamagedTable: a table is gone or damaged.
        """
        own = [name for name in columns if name not in _FATE_OF]
        fate = [name for name in columns if name in _FATE_OF]
        table = read_table(self.tiles, TILE_SCHEMA, own)
        fates = read_table(self.fates, FATE_SCHEMA, fate)
        for name in fate:
            table = table.append_column(_FATE_OF[name], fates[name])
        return table.select(list(columns))

    def read_kept(self, columns: Sequence[str]) -> pa.Table:
        """Read some columns of the tiles that are still in, in the order of the corpus."""
        wanted = list(dict.fromkeys([*columns, *_PLACE, "drop_stage", "is_parent"]))
        table = self.read_tiles(wanted)
        is_tile = pc.invert(pc.fill_null(table["is_parent"], False))
        table = table.filter(pc.and_(table["drop_stage"].is_null(), is_tile))
        return table.sort_by([(key, "ascending") for key in _PLACE]).select(list(columns))

    def read_ledger(self, lost: pa.Table | None = None) -> pa.Table:
        """Join files, tiles and their fates, in the order of the ledger.

        Args:
            lost: tiles that could not be packed: tile_id, drop_stage, drop_reason, drop_detail.
        """
        files = _as_ledger(read_table(self.images, IMAGE_SCHEMA), "file")
        known = [n for n in LEDGER_SCHEMA.names if n in TILE_SCHEMA.names or n in _FATE_OF]
        tiles = self.read_tiles([*known, "is_parent"])
        if lost is not None:
            tiles = _with_lost(tiles, lost)
        ledger = pa.concat_tables([files, _as_ledger(tiles, "tile")])
        return ledger.sort_by([(key, "ascending") for key in _ORDER])


def over(
    partitions: Iterable[Partition], function: Callable[[Partition], Result]
) -> Iterator[Result]:
    """Apply a function to partitions, several at a time since it mostly waits, results in order."""
    with ThreadPoolExecutor(_READERS) as pool:
        yield from pool.map(function, partitions)


def _as_ledger(table: pa.Table, level: str) -> pa.Table:
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in LEDGER_SCHEMA
    ]
    ledger = pa.table(columns, schema=LEDGER_SCHEMA)
    levels = pa.array([level] * table.num_rows, pa.string())
    if "is_parent" in table.column_names:
        levels = pc.if_else(pc.fill_null(table["is_parent"], False), "parent", levels)
    return ledger.set_column(0, LEDGER_SCHEMA.field("level"), levels)


def _with_lost(tiles: pa.Table, lost: pa.Table) -> pa.Table:
    found = pc.index_in(tiles["tile_id"], lost["tile_id"].combine_chunks())
    is_lost = found.is_valid()
    for name in ("drop_stage", "drop_reason", "drop_detail"):
        column = pc.if_else(is_lost, lost[name].combine_chunks().take(found), tiles[name])
        tiles = tiles.set_column(tiles.column_names.index(name), name, column)
    return tiles
