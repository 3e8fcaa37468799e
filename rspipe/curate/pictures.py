"""Small pictures of what was dropped, and of what it was dropped for: the report shows them.

They lie in `pictures.parquet` beside the corpus, bounded in number, so that a report needs nothing
but the corpus folder, long after the source data has gone.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image

from rspipe.curate.config import SliceConfig
from rspipe.curate.sources import open_source, read_tile
from rspipe.io import images
from rspipe.io.storage import Storage

PICTURES_SCHEMA = pa.schema(
    [
        pa.field("tile_id", pa.string()),
        pa.field("picture", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
    ]
)
_PER_REASON = 48
_SIDE_PX = 96


@dataclass(frozen=True)
class PicturesItem:
    """The tiles to draw."""

    plan: Path
    """Table of the tiles."""
    storages: dict[str, Storage]
    config: SliceConfig


def choose_pictures(tiles: pa.Table, hits: pa.Table) -> pa.Table:
    """Choose dropped tiles, the first of each reason by id, and the tiles they are matched with.

    Args:
        tiles: the tile table with its final fates.
        hits: the benchmark hits.
    """
    wanted: set[str] = set()
    measured = tiles.filter(pc.and_(tiles["pixel_hash"].is_valid(), tiles["drop_stage"].is_valid()))
    for reason in measured["drop_reason"].unique().to_pylist():
        if reason == "benchmark_split":
            continue
        of_reason = measured.filter(pc.equal(measured["drop_reason"], reason))
        for row in _first_by_id(of_reason):
            wanted |= {row["tile_id"], row["duplicate_of"]} - {None}
    pairs = hits.select(["tile_id", "benchmark_tile_id"]).to_pylist()
    wanted |= {hit["benchmark_tile_id"] for hit in pairs if hit["tile_id"] in wanted}
    chosen = tiles.filter(pc.is_in(tiles["tile_id"], pa.array(sorted(wanted), pa.string())))
    return chosen.sort_by("tile_id")


def _first_by_id(tiles: pa.Table) -> list[dict[str, Any]]:
    return list(
        tiles.select(["tile_id", "duplicate_of"]).sort_by("tile_id")[:_PER_REASON].to_pylist()
    )


def draw_pictures(item: PicturesItem) -> pa.Table:
    """Draw every chosen tile as a PNG of at most 96 px a side."""
    rows = []
    for tile in pq.read_table(item.plan).to_pylist():
        with open_source(item.storages[tile["dataset"]], tile, item.config) as source:
            pixels = read_tile(source, tile)
        data = images.encode_png(_fit(images.to_rgb(pixels)))
        rows.append(
            {
                "tile_id": tile["tile_id"],
                "picture": {"bytes": data, "path": f"{tile['tile_id']}.png"},
            }
        )
    return pa.Table.from_pylist(rows, PICTURES_SCHEMA)


def _fit(pixels: images.Pixels) -> images.Pixels:
    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS)
    return np.asarray(image)
