# SPDX-License-Identifier: Apache-2.0
"""What only the corpus's shards say of the kept tiles on the page, their pictures above all."""

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from rspipe.corpus.format import PICTURES, shard_paths
from rspipe.corpus.reader import Corpus
from rspipe.errors import UnreadableImage
from rspipe.io.images import Pixels, decode, to_rgb
from rspipe.io.tables import open_table
from rspipe.report.browser.census import groups_of

SIDE_PX = 128
"""Longest side of a picture on the page; curate keeps those of dropped tiles at 96."""
_QUALITY = 80
_BOXES_SHOWN = 64

_COLUMNS = (
    *("tile_id", "height", "width", "attribution", "licence_url", "redistributable"),
    *("gsd_m", "crs", "xmin", "ymin", "xmax", "ymax", "acquired", "sensor", "cloud_cover"),
    *("label", "caption", "boxes", "pair_path"),
)


def details_of(corpus: Corpus, tile_ids: Sequence[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read the corpus's rows of some tiles, each row group once.

    Args:
        corpus: a finished corpus.
        tile_ids: kept tiles.

    Returns:
        Of each tile its columns, and its picture as WebP.

    Raises:
        UnreadableImage: a picture of the corpus cannot be decoded; see `rspipe corpus verify`.
    """
    wanted = pa.array(tile_ids, pa.string())
    details: dict[str, Any] = {}
    pictures: dict[str, bytes] = {}
    for rows in _rows_of(corpus, wanted):
        for row in rows.select([*_COLUMNS, "mask"]).to_pylist():
            details[row["tile_id"]] = row | {"boxes": _drawable(row), "mask": bool(row["mask"])}
        encoded = pc.struct_field(rows["image"], "bytes")
        for tile_id, data in zip(rows["tile_id"], encoded, strict=True):
            name = tile_id.as_py()
            pictures[name] = shrink(to_rgb(decode(data.as_py(), f"{corpus.path}, tile {name}")))
    return details, pictures


def _rows_of(corpus: Corpus, wanted: pa.Array) -> Iterator[pa.Table]:
    """Read the wanted rows; pictures are read of no row group that holds none of them."""
    for path in shard_paths(corpus.path):
        shard = open_table(path)
        for group in range(shard.num_row_groups):
            ids = shard.read_row_group(group, columns=["tile_id"])["tile_id"]
            is_wanted = pc.is_in(ids, value_set=wanted)
            if pc.any(is_wanted).as_py():
                rows = shard.read_row_group(group, columns=[*_COLUMNS, "image", "mask.path"])
                yield rows.filter(is_wanted)


def kept_pictures(corpus: Corpus, tile_ids: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    """Read the small pictures that curate kept of some tiles; damaged ones are left out."""
    path = corpus.path / PICTURES
    wanted = pa.array(tile_ids, pa.string())
    for group in groups_of([path] if path.is_file() else [], ["tile_id", "picture"]):
        rows = group.filter(pc.is_in(group["tile_id"], value_set=wanted))
        for row in rows.to_pylist():
            try:
                pixels = to_rgb(decode(row["picture"]["bytes"], row["tile_id"]))
            except UnreadableImage:
                continue  # the page says "no picture"
            yield row["tile_id"], shrink(pixels)


def shrink(pixels: Pixels) -> bytes:
    """Encode as a small WebP.

    Args:
        pixels: uint8 (H, W, 3), 0..255.
    """
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=_QUALITY, method=4)
    return buffer.getvalue()


def _drawable(row: dict[str, Any]) -> dict[str, Any] | None:
    """Outlines of a tile's objects as shares of its sides: polygons of x, y, and their labels."""
    if row["boxes"] is None:
        return None
    outlines = [_outline(box) for box in row["boxes"][:_BOXES_SHOWN]]
    sides = np.array([row["width"], row["height"]], np.float64)
    shares = [(np.array(o).reshape(-1, 2) / sides).round(3).ravel().tolist() for o in outlines]
    labels = [box["label"] for box in row["boxes"][:_BOXES_SHOWN]]
    return {"count": len(row["boxes"]), "outlines": shares, "labels": labels}


def _outline(box: dict[str, Any]) -> list[float]:
    if box["corners"]:
        return list(box["corners"])
    x0, y0, x1, y1 = (box[name] for name in ("x0", "y0", "x1", "y1"))
    return [x0, y0, x1, y0, x1, y1, x0, y1]
