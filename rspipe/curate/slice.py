"""Stage 3, slice: cut large images into tiles, measure every tile, drop those worth nothing.

The only stage that decodes all pixels, and it decodes them once. Windows of a scene are read one
by one, so memory does not grow with the scene. Benchmark images are cut and measured by the same
code: that is what the leakage stage compares with.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rspipe.curate.config import SliceConfig
from rspipe.curate.measure import hash_rows, measure_pixels
from rspipe.curate.rows import drop, is_held_out
from rspipe.errors import UnreadableImage
from rspipe.io import images, raster
from rspipe.io.derived import local_raster
from rspipe.io.storage import Storage
from rspipe.schema import TILE_SCHEMA, Box

VERSION = 4

Row = dict[str, Any]
Bounds = tuple[float, float, float, float]
_ORIGINAL_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP"})


@dataclass(frozen=True)
class SliceItem:
    """One partition of the image table."""

    part: Path
    storages: dict[str, Storage]
    """Files of each dataset."""
    config: SliceConfig


class Source(Protocol):
    """An open image, read window by window."""

    def read(self, box: Box) -> tuple[images.Pixels, NDArray[np.bool_] | None]:
        """Pixels uint8 (H, W, C) and validity bool (H, W), None: valid everywhere."""

    def bounds_4326(self, box: Box) -> Bounds | None:
        """Footprint of a window in degrees, where known."""


def slice_images(item: SliceItem) -> pa.Table:
    """Cut and measure the images of a partition: one row per tile."""
    rows = pq.read_table(item.part).to_pylist()
    alive = (row for row in rows if row["drop_stage"] is None or is_held_out(row))
    tiles = [tile for row in alive for tile in _slice_image(row, item)]
    hash_rows([tile for tile in tiles if "thumbnail" in tile])
    return pa.Table.from_pylist(tiles, TILE_SCHEMA)


def tile_boxes(height: int, width: int, config: SliceConfig) -> list[Box]:
    """Lay the grid of windows over an image; the last one in each direction ends at the edge.

    >>> config = SliceConfig(tile_px=64, stride_px=64, larger_than_px=64)
    >>> [box.x0 for box in tile_boxes(64, 150, config)]
    [0, 64, 86]
    """
    if max(height, width) <= config.larger_than_px:
        return [Box(y0=0, x0=0, y1=height, x1=width)]
    ys = _starts(height, config.tile_px, config.stride_px)
    xs = _starts(width, config.tile_px, config.stride_px)
    tile = config.tile_px
    return [
        Box(y0=y, x0=x, y1=min(y + tile, height), x1=min(x + tile, width)) for y in ys for x in xs
    ]


def _starts(length: int, tile: int, stride: int) -> list[int]:
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile + 1, stride))
    return starts if starts[-1] == length - tile else [*starts, length - tile]


def _slice_image(row: Row, item: SliceItem) -> Iterator[Row]:
    boxes = tile_boxes(row["height"], row["width"], item.config)
    whole = len(boxes) == 1
    try:
        _check_mask(row, item.storages[row["dataset"]])
    except UnreadableImage as error:
        yield _unusable(row, "bad_annotation", f"mask {error}")
        return
    try:
        with open_source(item.storages[row["dataset"]], row, item.config) as src:
            tiles = [_tile(row, box, src, item.config, whole) for box in boxes]
    except UnreadableImage as error:
        # One row for the whole image: nothing of it can be trusted.
        yield _unusable(row, "unreadable", error.reason)
        return
    yield from tiles


def _check_mask(row: Row, storage: Storage) -> None:
    """Decode the mask, if any: one that is broken or of another size must not be packed.

    Raises:
        UnreadableImage: the mask cannot be decoded, or its size is not the image's.
    """
    path = row["mask_path"]
    if path is None:
        return
    mask = images.decode_mask(storage.read_bytes(path), path)
    if mask.shape[:2] != (row["height"], row["width"]):
        size = f"{row['height']}x{row['width']}"
        raise UnreadableImage(path, f"{mask.shape[0]}x{mask.shape[1]} px, its image has {size}")


def _unusable(row: Row, reason: str, detail: str) -> Row:
    whole = Box(y0=0, x0=0, y1=row["height"], x1=row["width"])
    base = row | _place(row, whole) | {"original_bytes": False}
    return base if is_held_out(row) else drop(base, "slice", reason, detail)


def _tile(row: Row, box: Box, source: Source, config: SliceConfig, whole: bool) -> Row:
    pixels, valid = source.read(box)
    original = whole and row["format"] in _ORIGINAL_FORMATS and row["dtype"] == "uint8"
    tile = row | _place(row, box) | measure_pixels(pixels, valid)
    tile |= {
        "original_bytes": original,
        "height": box.height,
        "width": box.width,
        "bands": pixels.shape[2],
        "dtype": "uint8",
        "format": row["format"] if original else "PNG",
        "boxes": carry_boxes(row["boxes"], box, config.min_box_share),
    }
    bounds = source.bounds_4326(box)
    if bounds is not None:
        tile |= dict(zip(("xmin", "ymin", "xmax", "ymax"), bounds, strict=True))
    if tile["drop_stage"] is None:
        return _screen(tile, config)
    return tile


def _screen(tile: Row, config: SliceConfig) -> Row:
    if tile["nodata_fraction"] > config.max_nodata_fraction:
        detail = f"{tile['nodata_fraction']:.3f} without data > {config.max_nodata_fraction}"
        return drop(tile, "slice", "nodata", detail)
    if tile["flatness"] > config.max_flatness:
        detail = f"flatness {tile['flatness']:.4f} > {config.max_flatness}"
        return drop(tile, "slice", "blank", detail)
    return tile


def _place(row: Row, box: Box) -> Row:
    # The id names this window of this image with this content: exact copies of an image have
    # ids of their own, so the ledger can say which one was dropped for which.
    text = f"{row['image_id']}\0{row['source_sha256']}\0{box.y0},{box.x0},{box.y1},{box.x1}"
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return {"tile_id": digest, "y0": box.y0, "x0": box.x0, "h": box.height, "w": box.width}


def box_of(tile: Row) -> Box:
    """Window of a tile in its image."""
    y0, x0 = tile["y0"], tile["x0"]
    return Box(y0=y0, x0=x0, y1=y0 + tile["h"], x1=x0 + tile["w"])


def carry_boxes(boxes: list[Row] | None, tile: Box, min_share: float) -> list[Row] | None:
    """Move annotated objects into a tile: kept where enough of the box lies inside, then clipped.

    Corners of oriented boxes are moved but not clipped: a cut rectangle is no rectangle.
    """
    if boxes is None:
        return None
    carried = []
    for box in boxes:
        x0, x1 = max(box["x0"], tile.x0), min(box["x1"], tile.x1)
        y0, y1 = max(box["y0"], tile.y0), min(box["y1"], tile.y1)
        area = (box["x1"] - box["x0"]) * (box["y1"] - box["y0"])
        if x1 <= x0 or y1 <= y0 or (x1 - x0) * (y1 - y0) < min_share * area:
            continue
        corners = box["corners"]
        if corners is not None:
            corners = [c - (tile.y0 if i % 2 else tile.x0) for i, c in enumerate(corners)]
        moved = {"x0": x0 - tile.x0, "y0": y0 - tile.y0, "x1": x1 - tile.x0, "y1": y1 - tile.y0}
        carried.append(box | moved | {"corners": corners})
    return carried


@contextmanager
def open_source(storage: Storage, row: Row, config: SliceConfig) -> Iterator[Source]:
    """Open an image for window reads, through Pillow or rasterio as its own bytes need.

    Args:
        storage: the files of its dataset.
        row: the image's row, or that of any of its tiles.
        config: carries the stretch rule.

    Raises:
        UnreadableImage: it cannot be opened or, for Pillow's formats, decoded.
    """
    path = row["source_path"]
    if row["derivation"] is None and not _is_raster(storage, path):
        picture = images.decode_picture(storage.read_bytes(path), path)
        if picture is not None:
            yield _Picture(picture)
            return
    bands = tuple(row["display_bands"])
    with (
        local_raster(storage, path, row["derivation"]) as file,
        raster.open_scene(file, path, bands) as scene,
    ):
        rule = config.stretch
        stretch = (
            None
            if scene.is_8bit
            else scene.percentile_stretch(rule.low_percentile, rule.high_percentile)
        )
        yield _Raster(scene, stretch)


def _is_raster(storage: Storage, path: str) -> bool:
    with storage.open(path) as stream:
        return images.sniff_format(stream.read(512)) in images.RASTER_FORMATS


class _Picture:
    """An 8-bit picture, decoded whole."""

    def __init__(self, picture: images.Picture) -> None:
        self._picture = picture

    def read(self, box: Box) -> tuple[images.Pixels, NDArray[np.bool_] | None]:
        window = np.s_[box.y0 : box.y1, box.x0 : box.x1]
        valid = self._picture.valid
        return self._picture.pixels[window], None if valid is None else valid[window]

    def bounds_4326(self, box: Box) -> Bounds | None:
        return None


class _Raster:
    """A raster with its stretch."""

    def __init__(self, scene: raster.Scene, stretch: raster.Stretch | None) -> None:
        self._scene = scene
        self._stretch = stretch

    def read(self, box: Box) -> tuple[images.Pixels, NDArray[np.bool_] | None]:
        return self._scene.read(box, self._stretch)

    def bounds_4326(self, box: Box) -> Bounds | None:
        return self._scene.bounds_4326(box)
