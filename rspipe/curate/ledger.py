"""The ledger: one row for every file and every tile ever seen; and the funnel, counted from it."""

from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.schema import FATE_SCHEMA, LEDGER_SCHEMA

STAGES = ("ingest", "exclude", "slice", "screen", "dedup", "leakage", "pack")
_FILE_STAGES = ("ingest", "exclude")
_TILE_STAGES = ("slice", "screen", "dedup", "leakage")
_ORDER = [(key, "ascending") for key in ("dataset", "source_path", "level", "y0", "x0")]


def build_ledger(files: pa.Table, tiles: pa.Table, fates: pa.Table) -> pa.Table:
    """Join files, tiles and their fates into the ledger, in one order on every machine.

    Args:
        files: IMAGE_SCHEMA after exclude, one row per file.
        tiles: TILE_SCHEMA, one row per tile, and per image that was cut (level `parent`).
        fates: FATE_SCHEMA after leakage, in the order of `tiles`.
    """
    return pa.concat_tables(
        [_as_ledger(files, "file"), _as_ledger(with_fates(tiles, fates), "tile")]
    ).sort_by(_ORDER)


def with_fates(tiles: pa.Table, fates: pa.Table) -> pa.Table:
    """Put the fates' columns in place of the tiles' own."""
    for name in FATE_SCHEMA.names:
        column = fates[name]
        if name in tiles.column_names:
            tiles = tiles.set_column(tiles.column_names.index(name), name, column)
        else:
            tiles = tiles.append_column(name, column)
    return tiles


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
        levels = pc.if_else(table["is_parent"], "parent", levels)
    return ledger.set_column(0, LEDGER_SCHEMA.field("level"), levels)


def count_funnel(ledger: pa.Table) -> list[dict[str, Any]]:
    """Count rows in, kept and dropped by reason, stage by stage.

    File stages count files; from `slice` on tiles are counted, and `slice` also says how many
    images it cut them from. Held-out benchmark tiles are not counted: they never were candidates.
    """
    reasons = _count_reasons(ledger)
    files = _rows(ledger, "file")
    held_out = reasons["tile"].pop(("exclude", "benchmark_split"), 0)
    funnel: list[dict[str, Any]] = []
    rows_in = files
    for stage in _FILE_STAGES:
        rows_in = _append(funnel, stage, "files", rows_in, reasons["file"])
    images = rows_in
    rows_in = _rows(ledger, "tile") - held_out
    for stage in _TILE_STAGES:
        rows_in = _append(funnel, stage, "tiles", rows_in, reasons["tile"])
    funnel[2]["images_in"] = images
    funnel[2]["benchmark_tiles_held_out"] = held_out
    _append(funnel, "pack", "tiles", rows_in, reasons["tile"])
    return funnel


def _append(
    funnel: list[dict[str, Any]],
    stage: str,
    unit: str,
    rows_in: int,
    reasons: Counter[tuple[str, str]],
) -> int:
    dropped = {reason: n for (where, reason), n in sorted(reasons.items()) if where == stage}
    kept = rows_in - sum(dropped.values())
    funnel.append(
        {"stage": stage, "unit": unit, "rows_in": rows_in, "kept": kept, "dropped": dropped}
    )
    return kept


def _rows(ledger: pa.Table, level: str) -> int:
    return int(pc.sum(pc.equal(ledger["level"], level)).as_py() or 0)


def _count_reasons(ledger: pa.Table) -> dict[str, Counter[tuple[str, str]]]:
    levels = ("file", "tile", "parent")
    found: dict[str, Counter[tuple[str, str]]] = {level: Counter() for level in levels}
    counts = ledger.group_by(["level", "drop_stage", "drop_reason"]).aggregate([([], "count_all")])
    for row in counts.to_pylist():
        if row["drop_stage"] is not None:
            found[row["level"]][row["drop_stage"], row["drop_reason"]] = row["count_all"]
    return found
