# SPDX-License-Identifier: Apache-2.0
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
from rspipe.io.places import Place, arrow_source, written_whole


def write_table(table: pa.Table, path: Place, row_group_rows: int = 65_536) -> None:
    """Write a table, whole or not at all.

    Raises:
        NoSpace: the disk is full.
    """
    with written_whole(path, table.nbytes) as partial:
        pq.write_table(
            table,
            partial,
            compression="zstd",
            row_group_size=row_group_rows,
            write_page_checksum=True,
        )


def open_table(path: Place) -> pq.ParquetFile:
    """Open a table; its pages are checked against their checksums when they are read."""
    return pq.ParquetFile(**arrow_source(path), page_checksum_verification=True)


@contextmanager
def reading(path: Place) -> Iterator[pq.ParquetFile]:
    """Open a table that a stage left, and nothing else than read it inside.

    Raises:
        DamagedTable: it is gone or damaged.
    """
    try:
        with open_table(path) as file:
            yield file
    except (OSError, pa.ArrowInvalid) as error:
        raise DamagedTable(path, str(error)) from error


def is_sound_table(path: Place) -> bool:
    """Whether a whole table lies there: its footer is looked at, its pages when they are read."""
    try:
        count_rows(path)
    except DamagedTable:
        return False
    return True


def count_rows(path: Place) -> int:
    """Count the rows of a table by its footer.

    Raises:
        DamagedTable: it is gone or damaged.
    """
    with reading(path) as file:
        return int(file.metadata.num_rows)


def read_table(path: Place, schema: pa.Schema, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one table, or some columns of it, and check it against its checksums.

    Raises:
        DamagedTable: it is gone or damaged.
    """
    if columns is not None:
        schema = pa.schema([schema.field(name) for name in columns])
    with reading(path) as file:
        table = file.read(columns=schema.names)
    return table.select(schema.names).cast(schema)


def read_tables(
    paths: Sequence[Place], schema: pa.Schema, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read and join tables of one schema; no path gives an empty table."""
    if not paths:
        names = schema.names if columns is None else columns
        return pa.schema([schema.field(name) for name in names]).empty_table()
    return pa.concat_tables([read_table(path, schema, columns) for path in paths])


def write_json(value: Any, path: Place) -> None:
    """Write sorted, indented JSON, whole or not at all."""
    write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", path)


def write_text(text: str, path: Place) -> None:
    """Write text, whole or not at all."""
    with written_whole(path, len(text)) as partial:
        partial.write_text(text)


def read_json(path: Place) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def read_json_if_there(path: Place) -> Any:
    """Read a JSON file; an empty mapping where there is none."""
    return read_json(path) if path.is_file() else {}


def remove_partials(folder: Path) -> None:
    """Delete what a killed writer left behind."""
    for partial in folder.rglob(".*.partial"):
        partial.unlink()
