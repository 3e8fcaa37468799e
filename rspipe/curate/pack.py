"""Stage 6, pack: write the tiles that are left, in one order, into shards planned beforehand.

An image that was not cut keeps its published bytes; a cut or converted tile becomes a PNG.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.corpus.format import ROW_GROUP_ROWS, corpus_schema
from rspipe.curate.config import SliceConfig
from rspipe.curate.sources import open_source, read_tile
from rspipe.io import images
from rspipe.io.storage import Storage

VERSION = 4

Row = dict[str, Any]
_PNG_BYTES_PER_VALUE = 0.6  # a photograph's PNG against its raw bytes; only plans shard sizes


@dataclass(frozen=True)
class PackItem:
    """One shard: its tiles, in order."""

    plan: Path
    """Table of the tiles: what is sent to a worker stays small."""
    storages: dict[str, Storage]
    config: SliceConfig
    row_group_bytes: int


def plan_shards(tiles: pa.Table, shard_bytes: int) -> list[pa.Table]:
    """Cut the sorted tile table into shards of about `shard_bytes` each, by estimated size."""
    size = 0.0
    starts = [0]
    sizes = tiles.select(
        ["original_bytes", "source_size_bytes", "height", "width", "bands"]
    ).to_pylist()
    for index, row in enumerate(sizes):
        estimate = (
            row["source_size_bytes"]
            if row["original_bytes"]
            else row["height"] * row["width"] * row["bands"] * _PNG_BYTES_PER_VALUE
        )
        if size and size + estimate > shard_bytes:
            starts.append(index)
            size = 0.0
        size += estimate
    stops = [*starts[1:], tiles.num_rows]
    return [tiles.slice(a, b - a) for a, b in zip(starts, stops, strict=True)]


def write_shard(item: PackItem, target: Path) -> None:
    """Write one shard, row group by row group, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    schema = corpus_schema()
    # Hashes and picture bytes gain nothing from dictionaries or statistics.
    plain = [name for name in schema.names if name not in {"image", "mask", "tile_id", "sha256"}]
    writer = pq.ParquetWriter(
        partial, schema, compression="zstd", use_dictionary=plain, write_statistics=plain
    )
    with writer:
        for group in _row_groups(_packed_rows(item), item.row_group_bytes):
            table = pa.Table.from_pylist(group, schema)
            writer.write_table(table, row_group_size=len(group))
    partial.replace(target)


def _packed_rows(item: PackItem) -> Iterator[Row]:
    """Give corpus rows in order; tiles of one image are neighbours, so it is opened once."""
    rows = pq.read_table(item.plan).to_pylist()
    for _, tiles in groupby(rows, key=lambda row: (row["dataset"], row["source_path"])):
        yield from _pack_image(list(tiles), item)


def _pack_image(tiles: list[Row], item: PackItem) -> Iterator[Row]:
    first = tiles[0]
    storage = item.storages[first["dataset"]]
    mask = _read_mask(storage, first)
    if first["original_bytes"]:
        yield _corpus_row(first, storage.read_bytes(first["source_path"]), mask)
        return
    with open_source(storage, first, item.config) as source:
        for tile in tiles:
            yield _corpus_row(tile, images.encode_png(read_tile(source, tile)), mask)


def _read_mask(storage: Storage, tile: Row) -> Any:
    if tile["mask_path"] is None:
        return None
    path = tile["mask_path"]
    return images.decode_mask(storage.read_bytes(path), path)


def _corpus_row(tile: Row, data: bytes, mask: Any) -> Row:
    name = Path(tile["source_path"]).stem
    suffix = tile["format"].lower().replace("jpeg", "jpg")
    packed = {
        "image": {"bytes": data, "path": f"{tile['tile_id']}-{name}.{suffix}"},
        "sha256": hashlib.sha256(data).hexdigest(),
        "mask": None,
    }
    if mask is not None:
        window = mask[tile["y0"] : tile["y0"] + tile["h"], tile["x0"] : tile["x0"] + tile["w"]]
        packed["mask"] = {
            "bytes": images.encode_png(window),
            "path": f"{tile['tile_id']}-mask.png",
        }
    return tile | packed


def _row_groups(rows: Iterator[Row], group_bytes: int) -> Iterator[list[Row]]:
    group: list[Row] = []
    size = 0
    for row in rows:
        length = len(row["image"]["bytes"])
        if group and (len(group) == ROW_GROUP_ROWS or size + length > group_bytes):
            yield group
            group, size = [], 0
        group.append(row)
        size += length
    if group:
        yield group
