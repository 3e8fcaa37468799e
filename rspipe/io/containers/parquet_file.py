# SPDX-License-Identifier: Apache-2.0
"""Parquet files with pictures inside (Hugging Face data sets, an rspipe corpus) as containers.

A picture is the cell of one row in one picture column: member `00000017/image`. A picture column
is a struct with a `bytes` field, or binary with a usual name.
"""

import io
from collections import OrderedDict
from functools import cached_property
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.errors import UnreadableImage
from rspipe.io.containers.base import Member

IMAGE_COLUMNS = ("image", "img", "jpg", "jpeg", "png", "webp", "tif", "tiff", "picture", "bytes")
"""Names by which a plain binary column is taken for pictures."""
_GROUPS_KEPT = 2


class ParquetContainer:
    """A Parquet file; one row group of pictures is in memory at a time."""

    def __init__(self, stream: BinaryIO, path: str) -> None:
        self._stream, self._path = stream, path
        self._cache: OrderedDict[tuple[str, int], pa.ChunkedArray] = OrderedDict()
        try:
            self._file = pq.ParquetFile(stream)
        except (pa.ArrowException, OSError) as error:
            raise UnreadableImage(path, f"not a readable Parquet file: {error}") from error

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the picture columns, in file order."""
        return tuple(field.name for field in self._file.schema_arrow if _holds_pictures(field))

    @property
    def file(self) -> pq.ParquetFile:
        """The open file, for a reader that wants the other columns."""
        return self._file

    def members(self) -> tuple[Member, ...]:
        """One member per row and picture column; none where no column holds pictures."""
        rows = range(self._file.metadata.num_rows)
        return tuple(Member(member_name(r, name), 0) for r in rows for name in self.columns)

    def open(self, name: str) -> BinaryIO:
        """Open one picture."""
        row_text, _, column = name.partition("/")
        if column not in self.columns or not row_text.isdigit():
            raise UnreadableImage(f"{self._path}/{name}", "no such picture in the Parquet file")
        data = self._cell(int(row_text), column)
        if data is None:
            raise UnreadableImage(f"{self._path}/{name}", "the cell is null")
        return io.BytesIO(data)

    def close(self) -> None:
        """Close file and stream."""
        self._file.close()
        self._stream.close()

    @cached_property
    def _starts(self) -> Any:
        meta = self._file.metadata
        rows = [meta.row_group(g).num_rows for g in range(meta.num_row_groups)]
        return np.cumsum([0, *rows])

    def _cell(self, row: int, column: str) -> bytes | None:
        if row >= self._starts[-1]:
            raise UnreadableImage(self._path, f"no row {row}")
        group = int(np.searchsorted(self._starts, row, side="right")) - 1
        key = (column, group)
        if key not in self._cache:
            try:
                table = self._file.read_row_group(group, columns=[column])
            except (pa.ArrowException, OSError) as error:
                why = f"row group {group} of the Parquet file is broken: {error}"
                raise UnreadableImage(self._path, why) from error
            self._cache[key] = table[column]
            while len(self._cache) > _GROUPS_KEPT:
                self._cache.popitem(last=False)
        cell = self._cache[key][row - int(self._starts[group])].as_py()
        return cast("bytes | None", cell["bytes"] if isinstance(cell, dict) else cell)


def member_name(row: int, column: str) -> str:
    """Name the picture of a row.

    >>> member_name(17, "image")
    '00000017/image'
    """
    return f"{row:08d}/{column}"


def _holds_pictures(field: pa.Field) -> bool:
    if pa.types.is_struct(field.type):
        names = {child.name for child in field.type}
        return "bytes" in names and _is_binary(field.type.field("bytes").type)
    return _is_binary(field.type) and field.name.lower() in IMAGE_COLUMNS


def _is_binary(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
