# SPDX-License-Identifier: Apache-2.0
"""The ledger: one row for every file, cut image and tile; and the funnel, counted from it."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.curate.partition import Partition, over
from rspipe.curate.receipt import write_with_receipt
from rspipe.io.places import Place
from rspipe.io.tables import read_table
from rspipe.schema import LEDGER_SCHEMA

STAGES = ("ingest", "exclude", "slice", "screen", "dedup", "leakage", "pack")
LEDGER_ROWS = 1_000_000
"""Rows per file of the ledger."""
LOST_SCHEMA = pa.schema(
    [pa.field(n, pa.string()) for n in ("tile_id", "drop_stage", "drop_reason", "drop_detail")]
)
"""Tiles that could not be packed after all."""
_ROW_GROUP_ROWS = 65_536
_FILE_STAGES = ("ingest", "exclude")
_TILE_STAGES = ("slice", "screen", "dedup", "leakage", "pack")
_COUNTED = ["level", "dataset", "drop_stage", "drop_reason"]

Counts = Counter[tuple[str, str, str | None, str | None]]
"""How many rows have a (level, dataset, drop_stage, drop_reason)."""


@dataclass(frozen=True)
class LedgerItem:
    """One file of the ledger: so many rows of some partitions, one after the other."""

    partitions: tuple[Partition, ...]
    skip: int
    """Rows of the first partition that the file before holds."""
    rows: int
    lost: Place | None
    """LOST_SCHEMA of the whole corpus; None if nothing was lost."""


def plan_ledger(
    partitions: Sequence[Partition], lost: Place | None, file_rows: int = LEDGER_ROWS
) -> list[LedgerItem]:
    """Cut the ledger into files of `file_rows` rows, wherever partitions begin and end."""
    sizes = list(over(partitions, Partition.count_ledger_rows))
    total = sum(sizes)
    items = []
    first, before = 0, 0  # the partition that holds the next row, and the rows before it
    for start in range(0, max(total, 1), file_rows):
        stop = min(start + file_rows, total)
        while first < len(sizes) and before + sizes[first] <= start:
            before += sizes[first]
            first += 1
        last, after = first, before
        while last < len(sizes) and after < stop:
            after += sizes[last]
            last += 1
        items.append(LedgerItem(tuple(partitions[first:last]), start - before, stop - start, lost))
    return items


def write_ledger(item: LedgerItem, receipt: Place, target: Place) -> None:
    """Write one file of the ledger, row group by row group; its counts go into the receipt.

    The bytes do not depend on how the rows were partitioned.
    """
    counts: Counts = Counter()
    with write_with_receipt(target, receipt) as (partial, note):
        with pq.ParquetWriter(partial, LEDGER_SCHEMA, compression="zstd") as writer:
            for group in _row_groups(_rows(item)):
                writer.write_table(group, row_group_size=_ROW_GROUP_ROWS)
                counts += count_rows_by_fate(group)
        note["counts"] = [[*key, n] for key, n in sorted(counts.items(), key=str)]


def _rows(item: LedgerItem) -> Iterator[pa.Table]:
    lost = None if item.lost is None else read_table(item.lost, LOST_SCHEMA)
    skip, left = item.skip, item.rows
    for partition in item.partitions:
        table = partition.read_ledger(lost)[skip:][:left]
        skip, left = 0, left - table.num_rows
        yield table


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Regroup rows: all groups but the last have _ROW_GROUP_ROWS rows."""
    waiting = LEDGER_SCHEMA.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table])
        while waiting.num_rows >= _ROW_GROUP_ROWS:
            yield waiting[:_ROW_GROUP_ROWS].combine_chunks()
            waiting = waiting[_ROW_GROUP_ROWS:]
    if waiting.num_rows:
        yield waiting.combine_chunks()


def count_rows_by_fate(ledger: pa.Table) -> Counts:
    """Count the rows of a piece of the ledger."""
    counts = ledger.group_by(_COUNTED).aggregate([([], "count_all")]).to_pylist()
    return Counter({tuple(row[k] for k in _COUNTED): row["count_all"] for row in counts})


def build_funnel(counts: Counts) -> list[dict[str, Any]]:
    """Count rows in, kept and dropped by reason, stage by stage.

    File stages count files; from `slice` on tiles are counted, and `slice` also says how many
    images it cut them from. Held-out benchmark tiles are not counted: they never were candidates.
    """
    rows = {level: _of_level(counts, level) for level in ("file", "tile")}
    held_out = rows["tile"].pop(("exclude", "benchmark_split"), 0)
    funnel: list[dict[str, Any]] = []
    rows_in = rows["file"].total()
    for stage in _FILE_STAGES:
        rows_in = _append(funnel, stage, "files", rows_in, rows["file"])
    images = rows_in
    rows_in = rows["tile"].total()
    for stage in _TILE_STAGES:
        rows_in = _append(funnel, stage, "tiles", rows_in, rows["tile"])
    funnel[len(_FILE_STAGES)] |= {"images_in": images, "benchmark_tiles_held_out": held_out}
    return funnel


def held_out_benchmarks(counts: Counts) -> list[str]:
    """Name the datasets of which something was held out, sorted."""
    return sorted({dataset for _, dataset, _, reason in counts if reason == "benchmark_split"})


def _of_level(counts: Counts, level: str) -> Counter[tuple[str | None, str | None]]:
    found: Counter[tuple[str | None, str | None]] = Counter()
    for (where, _, stage, reason), n in counts.items():
        if where == level:
            found[stage, reason] += n
    return found


def _append(
    funnel: list[dict[str, Any]],
    stage: str,
    unit: str,
    rows_in: int,
    rows: Counter[tuple[str | None, str | None]],
) -> int:
    dropped = {str(reason): n for (where, reason), n in rows.items() if where == stage}
    kept = rows_in - sum(dropped.values())
    dropped = dict(sorted(dropped.items()))
    funnel.append(
        {"stage": stage, "unit": unit, "rows_in": rows_in, "kept": kept, "dropped": dropped}
    )
    return kept
