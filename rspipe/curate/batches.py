# SPDX-License-Identifier: Apache-2.0
"""The rows of many images as Arrow, a few hundred at a time: never a list of Python objects."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

from rspipe.curate.measure import hash_rows
from rspipe.schema import TILE_SCHEMA

Row = dict[str, Any]
_ROWS_PER_BATCH = 256


class Batches:
    """Collects the rows of images, each image's whole or not at all."""

    def __init__(self) -> None:
        self._done: list[pa.RecordBatch] = []
        self._rows: list[Row] = []

    def add_image(self, rows: Iterable[Row]) -> None:
        """Add the rows of one image; if one of them raises, none is added.

        A half-read scene gives no tile: nothing of it can be trusted.
        """
        batches: list[pa.RecordBatch] = []
        open_rows: list[Row] = []
        for row in rows:
            open_rows.append(row)
            if len(open_rows) == _ROWS_PER_BATCH:
                batches.append(_batch(open_rows))
                open_rows = []
        if batches or len(self._rows) >= _ROWS_PER_BATCH:
            self._close()
            self._done += batches
        self._rows += open_rows

    def _close(self) -> None:
        if self._rows:
            self._done.append(_batch(self._rows))
            self._rows = []

    def to_table(self) -> pa.Table:
        """All rows, in the order they came in."""
        self._close()
        return pa.Table.from_batches(self._done, TILE_SCHEMA).combine_chunks()


def _batch(rows: list[Row]) -> pa.RecordBatch:
    hash_rows([row for row in rows if "thumbnail" in row])
    return pa.RecordBatch.from_pylist(rows, TILE_SCHEMA)
