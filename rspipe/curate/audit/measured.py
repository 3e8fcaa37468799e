# SPDX-License-Identifier: Apache-2.0
"""Measure whole pictures; what cannot be drawn is still compared by its bytes."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rspipe.curate.config import SliceConfig
from rspipe.curate.dedup.hashing import THUMBNAIL_PX
from rspipe.curate.measure import hash_rows
from rspipe.curate.slice import measure_whole
from rspipe.errors import UnreadableImage
from rspipe.io.places import Place
from rspipe.io.storage import Storage
from rspipe.io.tables import read_table
from rspipe.schema import IMAGE_SCHEMA, TILE_SCHEMA

VERSION = 1

Row = dict[str, Any]


@dataclass(frozen=True)
class MeasureItem:
    """One partition of an image table."""

    part: Place
    storage: Storage
    split: str | None
    """Only this split; None: all."""


def measure_images(item: MeasureItem) -> pa.Table:
    """Measure the images of a partition: one row each, and one per file that is none.

    `drop_reason` is null where pixels were compared, `bytes_only` where only the file's bytes
    could be, else the reason why the file took no part.
    """
    rows = [_measured(row, item) for row in read_table(item.part, IMAGE_SCHEMA).to_pylist()]
    hash_rows([row for row in rows if row.get("thumbnail") is not None])
    return pa.Table.from_pylist(rows, TILE_SCHEMA)


def _measured(row: Row, item: MeasureItem) -> Row:
    row = row | {"tile_id": row["image_id"], "is_parent": False, "original_bytes": True}
    if row["drop_reason"] is not None:
        return row if row["source_sha256"] is None else _by_bytes(row, row["drop_detail"])
    if item.split is not None and row["split"] != item.split:
        return row | {"drop_stage": "split", "drop_reason": "other_split", "drop_detail": ""}
    bands = row["display_bands"] or comparable_bands(row["bands"], row["dtype"])
    if bands is None:
        return _by_bytes(row, f"{row['bands']} {row['dtype']} bands cannot be compared as pixels")
    try:
        return measure_whole(row | {"display_bands": bands}, item.storage, SliceConfig())
    except UnreadableImage as error:
        return _by_bytes(row, error.reason)


def comparable_bands(bands: int, dtype: str) -> list[int] | None:
    """Choose bands of an image that shows no visible light: a copy shows the same ones.

    >>> comparable_bands(7, "float32"), comparable_bands(1, "complex64")
    ([1, 2, 3], None)
    """
    if dtype.startswith("complex"):
        return None
    return [1, 2, 3] if bands >= 3 else [1]


def _by_bytes(row: Row, why: str) -> Row:
    """Give a row whose pixels are not known the identity of its bytes, and a flat thumbnail."""
    return row | {
        "drop_stage": "measure",
        "drop_reason": "bytes_only",
        "drop_detail": why,
        "pixel_hash": row["source_sha256"][:32],
        "thumbnail": bytes(THUMBNAIL_PX * THUMBNAIL_PX),
        **{"y0": 0, "x0": 0, "h": row["height"] or 1, "w": row["width"] or 1},
        **{"height": row["height"] or 1, "width": row["width"] or 1},
    }
