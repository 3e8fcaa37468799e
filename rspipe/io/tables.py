"""Parquet tables written whole or not at all, byte for byte the same each time."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def write_table(table: pa.Table, path: Path, row_group_rows: int = 65_536) -> None:
    """Write a table to a temporary name, then rename: a killed run leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(table, partial, compression="zstd", row_group_size=row_group_rows)
    partial.replace(path)


def read_tables(paths: list[Path], schema: pa.Schema, columns: list[str] | None = None) -> pa.Table:
    """Read and join tables of one schema; no path gives an empty table."""
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    if not paths:
        return schema.empty_table()
    return pa.concat_tables([pq.read_table(p, columns=columns).cast(schema) for p in paths])


def write_json(value: Any, path: Path) -> None:
    """Write sorted, indented JSON to a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")
    partial.replace(path)


def write_text(text: str, path: Path) -> None:
    """Write text to a temporary name, then rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def remove_partials(folder: Path) -> None:
    """Delete what a killed writer left behind."""
    for partial in folder.rglob(".*.partial"):
        partial.unlink()
