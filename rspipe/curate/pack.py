# SPDX-License-Identifier: Apache-2.0
"""Stage 7, pack: write the tiles that are left, in one order, into shards planned beforehand.

An image that was not cut keeps its published bytes; a cut or converted tile becomes a PNG. What is
packed is what was measured: an image that has gone or changed meanwhile leaves no tile in the
corpus and a row in the ledger, `vanished` or `changed`.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rspipe.corpus.format import ROW_GROUP_ROWS, corpus_schema
from rspipe.curate.config import SliceConfig
from rspipe.curate.masks import MaskSource, open_mask, outlines_of
from rspipe.curate.measure import pixel_hash
from rspipe.curate.partition import Partition, over
from rspipe.curate.receipt import write_with_receipt
from rspipe.curate.sources import box_of, open_source, read_tile, shape_of
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.places import Place
from rspipe.io.storage import Storage
from rspipe.schema import TILE_SCHEMA, DatasetCard

VERSION = 6

Row = dict[str, Any]
# A photograph's PNG against its raw bytes, in percent; only plans shard sizes. In whole numbers, so
# that sums are the same in any order.
_PNG_PERCENT = 60
_UNPACKED = frozenset(
    {"thumbnail", "orientation_hashes", "drop_stage", "drop_reason", "drop_detail"}
)
_COLUMNS = tuple(name for name in TILE_SCHEMA.names if name not in _UNPACKED)


@dataclass(frozen=True)
class Span:
    """Some tiles of a partition: those from `start` to `stop` of the ones that are kept."""

    partition: Partition
    start: int
    stop: int


@dataclass(frozen=True)
class PackItem:
    """One shard: its tiles, in order, as references to the partitions that hold them."""

    spans: tuple[Span, ...]
    storages: dict[str, Storage]
    cards: dict[str, DatasetCard]
    config: SliceConfig
    row_group_bytes: int


def plan_shards(partitions: Sequence[Partition], shard_bytes: int) -> list[tuple[Span, ...]]:
    """Cut the tiles that are kept into shards of about `shard_bytes` each, by estimated size.

    Of each tile its size is in memory.
    """
    shards: list[tuple[Span, ...]] = []
    spans: list[Span] = []
    size = 0
    for partition, sizes in zip(partitions, over(partitions, _estimate_bytes), strict=True):
        ends = np.cumsum(sizes)
        start, before = 0, 0
        while start < len(ends):
            # The tiles that still fit; at least one, if the shard is empty.
            stop = int(np.searchsorted(ends, shard_bytes - size + before, side="right"))
            stop = max(stop, start if spans else start + 1)
            if stop > start:
                spans.append(Span(partition, start, stop))
                size += int(ends[stop - 1]) - before
                start, before = stop, int(ends[stop - 1])
            if start < len(ends):
                shards.append(tuple(spans))
                spans, size = [], 0
    return [*shards, tuple(spans)] if spans else shards


def _estimate_bytes(partition: Partition) -> NDArray[np.int64]:
    names = ["original_bytes", "source_size_bytes", "height", "width", "bands"]
    table = partition.read_kept(names)
    original, source, height, width, bands = (
        table[name].to_numpy().astype(np.int64) for name in names
    )
    drawn = height * width * bands * _PNG_PERCENT // 100
    return np.asarray(np.where(original == 1, source, drawn))


def write_shard(item: PackItem, receipt: Place, target: Place) -> None:
    """Write one shard, row group by row group, whole or not at all.

    The receipt counts its `tiles` and lists the tiles that could not be packed as `lost`:
    [tile_id, reason, detail].
    """
    schema = corpus_schema()
    # Hashes and picture bytes gain nothing from dictionaries or statistics.
    plain = [name for name in schema.names if name not in {"image", "mask", "tile_id", "sha256"}]
    packing = _Packing(item)
    with write_with_receipt(target, receipt) as (partial, note):
        writer = pq.ParquetWriter(
            partial, schema, compression="zstd", use_dictionary=plain, write_statistics=plain
        )
        tiles = 0
        with writer:
            for group in _row_groups(packing.rows(), item.row_group_bytes):
                table = pa.Table.from_pylist(group, schema)
                writer.write_table(table, row_group_size=len(group))
                tiles += len(group)
        note |= {"tiles": tiles, "lost": packing.lost}


class _Packing:
    """Makes the corpus rows of one shard, and notes what it could not make."""

    def __init__(self, item: PackItem) -> None:
        self._item = item
        self.lost: list[tuple[str, str, str]] = []

    def rows(self) -> Iterator[Row]:
        """Give corpus rows in order; tiles of one image are neighbours, so it is opened once."""
        for span in self._item.spans:
            tiles = span.partition.read_kept(_COLUMNS)[span.start : span.stop].to_pylist()
            for _, group in groupby(tiles, key=lambda row: (row["dataset"], row["source_path"])):
                yield from self._pack_image(list(group))

    def _pack_image(self, tiles: list[Row]) -> Iterator[Row]:
        """Pack tiles of one image; each that is given is what was measured."""
        dataset = tiles[0]["dataset"]
        storage, card = self._item.storages[dataset], self._item.cards[dataset]
        done = 0
        try:
            for tile, packed in _packed_tiles(tiles, storage, card, self._item.config):
                done += 1
                if packed is None:
                    detail = f"{tile['source_path']}: not what it was when it was measured"
                    self.lost.append((tile["tile_id"], "changed", detail))
                else:
                    yield packed
        except UnreadableImage as error:
            self.lost += [(tile["tile_id"], "vanished", str(error)) for tile in tiles[done:]]


def _packed_tiles(
    tiles: list[Row], storage: Storage, card: DatasetCard, config: SliceConfig
) -> Iterator[tuple[Row, Row | None]]:
    """Give each tile with its corpus row, or None if its image or mask has changed."""
    first = tiles[0]
    outlines = outlines_of(storage, first, card)
    with open_mask(storage, first, outlines) as mask:
        if first["original_bytes"]:
            data = storage.read_bytes(first["source_path"])
            same = hashlib.sha256(data).hexdigest() == first["source_sha256"]
            yield first, _corpus_row(first, data, mask) if same else None
            return
        with open_source(storage, first, config) as source:
            for tile in tiles:
                pixels = read_tile(source, tile)
                same = pixel_hash(pixels) == tile["pixel_hash"]
                yield tile, _corpus_row(tile, images.encode_png(pixels), mask) if same else None


def _corpus_row(tile: Row, data: bytes, mask: MaskSource | None) -> Row | None:
    name = Path(tile["source_path"]).stem
    suffix = tile["format"].lower().replace("jpeg", "jpg")
    packed = {
        "image": {"bytes": data, "path": f"{tile['tile_id']}-{name}.{suffix}"},
        "sha256": hashlib.sha256(data).hexdigest(),
        "mask": None,
    }
    if mask is not None:
        box = box_of(tile)
        if box.y1 > mask.size[0] or box.x1 > mask.size[1]:
            return None
        values = mask.read(box, shape_of(tile))
        packed["mask"] = {
            "bytes": images.encode_png(values),
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
