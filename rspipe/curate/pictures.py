# SPDX-License-Identifier: Apache-2.0
"""Small pictures of what was dropped, and of what it was dropped for: the report shows them.

They lie in `pictures.parquet` beside the corpus, bounded in number, so that a report needs nothing
but the corpus folder, long after the source data has gone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from rspipe.curate.config import SliceConfig
from rspipe.curate.partition import Partition, over
from rspipe.curate.sources import open_source, read_tile
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.places import Place
from rspipe.io.storage import Storage
from rspipe.io.tables import read_table
from rspipe.schema import TILE_SCHEMA

PICTURES_SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string()),
        pa.field("picture", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)
_FIRSTS = pa.schema([pa.field(n, pa.string()) for n in ("tile_id", "drop_reason", "duplicate_of")])
_PER_REASON = 48
_SIDE_PX = 96


@dataclass(frozen=True)
class PicturesItem:
    """The tiles to draw."""

    plan: Place
    """Table of the tiles."""
    storages: dict[str, Storage]
    config: SliceConfig


def choose_pictures(partitions: Sequence[Partition], hits: pa.Table) -> pa.Table:
    """Choose dropped tiles, the first of each reason by id, and the tiles they are matched with.

    A few partitions are in memory at a time, and of their tiles a few columns.

    Args:
        partitions: the tiles with their final fates.
        hits: the benchmark hits.

    Returns:
        TILE_SCHEMA rows, sorted by id.
    """
    firsts = _FIRSTS.empty_table()
    for dropped in over(partitions, _dropped):
        firsts = _first_by_reason(pa.concat_tables([firsts, dropped]))
    chosen = pa.concat_arrays([*firsts["tile_id"].chunks, *firsts["duplicate_of"].chunks])
    matched = hits.filter(pc.is_in(hits["tile_id"], chosen))["benchmark_tile_id"].combine_chunks()
    wanted = pa.concat_arrays([chosen, matched]).unique().drop_null()
    found = over(partitions, partial(_rows_of, wanted=wanted))
    return pa.concat_tables([TILE_SCHEMA.empty_table(), *found]).sort_by("tile_id")


def _dropped(partition: Partition) -> pa.Table:
    """Measured tiles that were dropped, the first of each reason."""
    table = partition.read_tiles([*_FIRSTS.names, "pixel_hash"])
    wanted = pc.and_(table["pixel_hash"].is_valid(), table["drop_reason"].is_valid())
    held_out = pc.equal(table["drop_reason"], "benchmark_split")
    return _first_by_reason(table.filter(pc.and_not(wanted, held_out)).select(_FIRSTS.names))


def _first_by_reason(dropped: pa.Table) -> pa.Table:
    reasons = sorted(dropped["drop_reason"].unique().to_pylist())
    of_reason = (dropped.filter(pc.equal(dropped["drop_reason"], r)) for r in reasons)
    firsts = [table.sort_by("tile_id")[:_PER_REASON] for table in of_reason]
    return pa.concat_tables([_FIRSTS.empty_table(), *firsts])


def _rows_of(partition: Partition, wanted: pa.Array) -> pa.Table:
    ids = partition.read_tiles(["tile_id"])["tile_id"]
    is_wanted = pc.is_in(ids, wanted)
    if not pc.any(is_wanted).as_py():
        return TILE_SCHEMA.empty_table()
    return partition.read_tiles(TILE_SCHEMA.names).filter(is_wanted)


def draw_pictures(item: PicturesItem) -> pa.Table:
    """Draw the chosen tiles as PNGs of at most 96 px a side, those whose images are still there.

    The rows are sorted by tile id; each image is opened once.
    """
    tiles = read_table(item.plan, TILE_SCHEMA).to_pylist()
    drawn: list[dict[str, Any]] = []
    for (dataset, _), of_image in groupby(sorted(tiles, key=_image), key=_image):
        try:
            drawn += _draw_image(list(of_image), item.storages[dataset], item.config)
        except UnreadableImage:
            continue
    drawn.sort(key=lambda row: row["tile_id"])
    return pa.Table.from_pylist(drawn, PICTURES_SCHEMA)


def _image(tile: dict[str, Any]) -> tuple[str, str]:
    return tile["dataset"], tile["source_path"]


def _draw_image(
    tiles: list[dict[str, Any]], storage: Storage, config: SliceConfig
) -> Iterator[dict[str, Any]]:
    with open_source(storage, tiles[0], config) as source:
        for tile in tiles:
            data = images.encode_png(_fit(images.to_rgb(read_tile(source, tile))))
            picture = {"bytes": data, "path": f"{tile['tile_id']}.png"}
            yield {"tile_id": tile["tile_id"], "picture": picture}


def _fit(pixels: images.Pixels) -> images.Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)
