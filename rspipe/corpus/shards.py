# SPDX-License-Identifier: Apache-2.0
"""Walk over a corpus's shards row group by row group, and write shards of a target size."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.corpus.format import ROW_GROUP_ROWS, SHARD_BYTES, corpus_schema, shard_paths
from rspipe.io.places import Place
from rspipe.io.tables import open_table
from rspipe.progress import tally

_PLAIN = frozenset({"image", "mask", "tile_id", "sha256"})
"""Columns of hashes and picture bytes: dictionaries and statistics gain nothing there."""


def row_groups(
    corpus: Place, columns: Sequence[str] | None = None, title: str = "read"
) -> Iterator[pa.Table]:
    """Give the row groups of a corpus in order, one at a time in memory."""
    files = [open_table(path) for path in shard_paths(corpus)]
    count = sum(file.metadata.num_row_groups for file in files)
    names = None if columns is None else list(columns)
    with tally(title, count, unit="row group") as bar:
        for file in files:
            for group in range(file.metadata.num_row_groups):
                yield file.read_row_group(group, columns=names)
                bar.update()


class ShardWriter:
    """Write row groups into shards of about `shard_bytes` each; names are settled at the end."""

    def __init__(self, folder: Path, shard_bytes: int = SHARD_BYTES) -> None:
        self._folder, self._shard_bytes = folder, shard_bytes
        self._written: list[Path] = []
        self._writer: Any = None
        self._size = 0
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def write(self, table: pa.Table) -> None:
        """Append rows; a table becomes one row group, or several of ROW_GROUP_ROWS."""
        size = table["image"].combine_chunks().field("bytes").nbytes
        if self._writer is not None and self._size + size > self._shard_bytes:
            self._close()
        writer = self._writer or self._open()
        writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        self._size += size

    def settle(self, names: Sequence[str]) -> list[Path]:
        """Close, and give the shards their names, in order."""
        self._close()
        targets = [self._folder / name for name in names]
        for written, target in zip(self._written, targets, strict=True):
            written.replace(target)
        return targets

    @property
    def count(self) -> int:
        """Shards written so far."""
        return len(self._written)

    def _open(self) -> Any:
        path = self._folder / f".shard-{len(self._written):05d}.partial"
        schema = corpus_schema()
        plain = [name for name in schema.names if name not in _PLAIN]
        self._writer = writer = pq.ParquetWriter(
            path, schema, compression="zstd", use_dictionary=plain, write_statistics=plain
        )
        self._written.append(path)
        self._size = 0
        return writer

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
