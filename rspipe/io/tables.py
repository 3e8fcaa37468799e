"""Tables and texts written whole or not at all, byte for byte the same each time.

Pages of a table carry checksums, so what a disk has damaged is noticed when it is read.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.errors import DamagedTable


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when the block ends well.

    A killed writer leaves a `.partial` file; a failing one leaves nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_table(table: pa.Table, path: Path, row_group_rows: int = 65_536) -> None:
    """Write a table, whole or not at all."""
    with written_whole(path) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            row_group_size=row_group_rows,
            write_page_checksum=True,
        )


def is_sound_table(path: Path) -> bool:
    """Whether a whole table lies there: its footer is looked at, its pages when they are read."""
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowInvalid):
        return False
    return True


def count_rows(path: Path) -> int:
    """Count the rows of a table by its footer.

    Raises:
        DamagedTable: it is gone or damaged.
    """
    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedTable(path, str(error)) from error


def read_table(path: Path, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one table, or some columns of it, and check it against its checksums.

    Raises:
        DamagedTable: it is gone or damaged.
    """
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    try:
        table = pq.read_table(path, columns=schema.names, page_checksum_verification=True)
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedTable(path, str(error)) from error
    return table.select(schema.names).cast(schema)


def read_tables(
    paths: Sequence[Path], schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read and join tables of one schema; no path gives an empty table."""
    if not paths:
        names = schema.names if columns is None else columns
        return pa.schema([schema.field(name) for name in names]).empty_table()
    return pa.concat_tables([read_table(path, schema, columns) for path in paths])


def write_json(value: Any, path: Path) -> None:
    """Write sorted, indented JSON, whole or not at all."""
    write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", path)


def write_text(text: str, path: Path) -> None:
    """Write text, whole or not at all."""
    with written_whole(path) as partial:
        partial.write_text(text)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def remove_partials(folder: Path) -> None:
    """Delete what a killed writer left behind."""
    for partial in folder.rglob(".*.partial"):
        partial.unlink()
