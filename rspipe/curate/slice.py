# SPDX-License-Identifier: Apache-2.0
"""Stage 3, slice: cut large images into tiles and measure every tile.

The only stage that decodes all pixels, and it decodes them once. Windows of a scene are read one
by one, so memory does not grow with the scene. Benchmark images are cut and measured by the same
code: that is what the leakage stage compares with. What a tile is worth is for `screen` to say.
"""

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import pyarrow as pa

from rspipe.curate.annotation import NOTHING_SAID, ImageAnnotation, open_annotation
from rspipe.curate.batches import Batches
from rspipe.curate.config import SliceConfig
from rspipe.curate.ingest import image_id
from rspipe.curate.measure import measure_pixels
from rspipe.curate.rows import ALL_ROWS, Rows, Unusable, drop, is_held_out
from rspipe.curate.sources import Source, open_source
from rspipe.curate.windows import Cut, lay_cuts, scale_to
from rspipe.errors import UnreadableImage
from rspipe.io.places import Place
from rspipe.io.storage import Storage
from rspipe.io.tables import read_table
from rspipe.schema import IMAGE_SCHEMA, TILE_SCHEMA, Box, DatasetCard

VERSION = 8

Row = dict[str, Any]
PARENT_PX = 512
"""Longest side of the picture of a whole image that its lineage row is measured from."""

_BOUNDS = ("xmin", "ymin", "xmax", "ymax")
_ORIGINAL_FORMATS = frozenset({"JPEG", "PNG", "WEBP", "GIF", "BMP"})
WHOLE_PX = 4096
"""Longest side of an image that `measure_whole` reads at full resolution."""


@dataclass(frozen=True)
class SliceItem:
    """One partition of the image table."""

    part: Place
    storages: dict[str, Storage]
    """Files of each dataset."""
    cards: dict[str, DatasetCard]
    config: SliceConfig
    rows: Rows = ALL_ROWS

    def count(self) -> int:
        """Rows of the table to go through."""
        return self.rows.count(self.part)

    def piece(self, start: int, stop: int) -> "SliceItem":
        """Some of the rows."""
        return replace(self, rows=self.rows.piece(start, stop))

    def give_up(self, why: str) -> pa.Table:
        """The row of an image that no process survives."""
        return pa.Table.from_pylist(
            [_unusable(row, "unreadable", why) for row in _alive(self)], TILE_SCHEMA
        )


def slice_images(item: SliceItem) -> pa.Table:
    """Cut and measure the images of a partition: one row per tile, one more per image that is cut.

    Rows turn into Arrow by the hundred: a scene of many tiles is never a list of Python objects.
    """
    made = Batches()
    for row in _alive(item):
        try:
            made.add_image(_tiles(row, item))
        except Unusable as fault:
            made.add_image([_unusable(row, fault.reason, fault.detail)])
        except UnreadableImage as error:
            made.add_image([_unusable(row, "unreadable", error.reason)])
    return made.to_table()


def _alive(item: SliceItem) -> list[Row]:
    """The images that are cut: those that are still in, and held-out ones."""
    rows = item.rows.of(read_table(item.part, IMAGE_SCHEMA)).to_pylist()
    return [row for row in rows if row["drop_stage"] is None or is_held_out(row)]


def _tiles(row: Row, item: SliceItem) -> Iterator[Row]:
    config = item.config
    storage = item.storages[row["dataset"]]
    if is_held_out(row):
        # Compared as a whole and in every part, whatever the corpus is made of.
        config = config.model_copy(update={"mode": "grid"})
    scale = scale_to(row["gsd_m"], config)
    cuts = lay_cuts(row["height"], row["width"], scale, _seed_id(row), config)
    first = next(cuts, None)
    if first is None:
        longest = max(row["height"], row["width"])
        raise Unusable("too_large", f"{longest} px > {config.larger_than_px} px stay whole")
    card = item.cards[row["dataset"]]
    row = row | _declared_stretch(row, card, config)
    with (
        _annotation(storage, row, card) as annotation,
        open_source(storage, row, config) as source,
    ):
        row["annotation_note"] = annotation.note
        if not first.covers(row["height"], row["width"]):
            yield _parent(row, source)
        for cut in chain((first,), cuts):
            yield _tile(row, cut, source, annotation, config)


def _annotation(
    storage: Storage, row: Row, card: DatasetCard
) -> AbstractContextManager[ImageAnnotation]:
    """An image's annotation; none of a held-out one: no fault of a mask keeps it from comparing."""
    return nullcontext(NOTHING_SAID) if is_held_out(row) else open_annotation(storage, row, card)


def _seed_id(row: Row) -> str:
    """What random crops are drawn from: the image's id, of a pair the first one's.

    So the two pictures of a place, before and after, are cut alike.
    """
    if row["pair_path"] is None:
        return str(row["image_id"])
    return image_id(row["dataset"], min(row["source_path"], row["pair_path"]))


def _declared_stretch(row: Row, card: DatasetCard, config: SliceConfig) -> Row:
    """The range that recipe or card state, for data that are not 8-bit.

    Raises:
        Unusable: the recipe refuses them, or wants a range that nobody states.
    """
    rule = config.stretch.of(row["dataset"])
    if row["dtype"] == "uint8" or rule.rule == "percentile" or is_held_out(row):
        return {"stretch_low": None, "stretch_high": None}
    if rule.rule == "refuse":
        raise Unusable("no_stretch", f"{row['dtype']}: the recipe refuses data that are not 8-bit")
    stated = rule.range or card.display_range
    if stated is None:
        why = f"{row['dtype']}: neither recipe (stretch.range) nor card (display_range) state one"
        raise Unusable("no_stretch", why)
    return {"stretch_low": stated[0], "stretch_high": stated[1]}


def _unusable(row: Row, reason: str, detail: str) -> Row:
    whole = Cut(_whole(row), row["height"], row["width"])
    base = row | _place(row, whole) | {"is_parent": False, "original_bytes": False}
    return base if is_held_out(row) else drop(base, "slice", reason, detail)


def _whole(row: Row) -> Box:
    return Box(y0=0, x0=0, y1=row["height"], x1=row["width"])


def _tile(
    row: Row, cut: Cut, source: Source, annotation: ImageAnnotation, config: SliceConfig
) -> Row:
    resampled = (cut.height, cut.width) != (cut.box.height, cut.box.width)
    shape = (cut.height, cut.width) if resampled else None
    pixels, valid = source.read(cut.box, shape)
    original = not resampled and _is_published_picture(row, cut)
    tile = row | _place(row, cut) | _rendered(row, cut, source)
    tile |= {
        "is_parent": False,
        "original_bytes": original,
        "bands": pixels.shape[2],
        "format": row["format"] if original else "PNG",
        "boxes": annotation.in_tile(cut.box, config, shape),
    }
    if valid is not None and not valid.any() and not is_held_out(row):
        empty = tile | {"nodata_fraction": 1.0}
        return drop(empty, "slice", "nodata", "nodata_fraction 1: not a single pixel has data")
    return tile | measure_pixels(pixels, valid)


def _is_published_picture(row: Row, cut: Cut) -> bool:
    """Whether a tile that is not resampled shows just what the published file shows."""
    natural = [1] if row["bands"] in {1, 2} else [1, 2, 3]
    return (
        cut.covers(row["height"], row["width"])
        and row["format"] in _ORIGINAL_FORMATS
        and row["dtype"] == "uint8"
        and list(row["display_bands"]) == natural
    )


def _parent(row: Row, source: Source) -> Row:
    """The row of an image that is cut: measured from a small picture of it, for lineage only."""
    pixels, valid = source.preview(PARENT_PX)
    cut = Cut(_whole(row), pixels.shape[0], pixels.shape[1])
    return (
        row
        | _place(row, cut, "parent")
        | _rendered(row, cut, source)
        | {"is_parent": True, "original_bytes": False, "bands": pixels.shape[2], "format": "PNG"}
        | measure_pixels(pixels, valid)
    )


def measure_whole(row: Row, storage: Storage, config: SliceConfig) -> Row:
    """Measure an image as one picture, whatever its size: what `rspipe audit` compares.

    Args:
        row: an image's row.
        storage: the files of its dataset.
        config: carries the stretch rule.

    Returns:
        A row of the tile table. Of images with a side above WHOLE_PX a small picture is measured,
        as of those that curation cuts; then `pixel_hash` is that picture's.

    Raises:
        UnreadableImage: it cannot be opened or decoded.
    """
    with open_source(storage, row, config) as source:
        if max(row["height"], row["width"]) > WHOLE_PX:
            return _parent(row, source) | {"is_parent": False, "original_bytes": True}
        cut = Cut(_whole(row), row["height"], row["width"])
        pixels, valid = source.read(cut.box)
        found = row | _place(row, cut) | _rendered(row, cut, source) | measure_pixels(pixels, valid)
        return found | {"is_parent": False, "original_bytes": True, "bands": pixels.shape[2]}


def _rendered(row: Row, cut: Cut, source: Source) -> Row:
    """How the pixels came from the image's, and where on Earth they are."""
    scale = cut.height / cut.box.height
    found = {
        "height": cut.height,
        "width": cut.width,
        "dtype": "uint8",
        "scale": scale,
        "stretch_low": source.stretch.low if source.stretch else None,
        "stretch_high": source.stretch.high if source.stretch else None,
        "gsd_m": row["gsd_m"] / scale if row["gsd_m"] is not None else None,
    }
    bounds = source.bounds_4326(cut.box) or _bounds_within(row, cut.box)
    return found | dict(zip(_BOUNDS, bounds, strict=True))


def _bounds_within(row: Row, box: Box) -> tuple[float | None, ...]:
    """Footprint of a window by that of its image, which is taken to lie north up."""
    west, south, east, north = (row[key] for key in _BOUNDS)
    if west is None:
        return None, None, None, None
    # West lies beyond east where an image crosses 180 degrees.
    across = (east - west) % 360 / row["width"]
    down = (north - south) / row["height"]
    left, right = (_degrees(west + x * across) for x in (box.x0, box.x1))
    return left, north - box.y1 * down, right, north - box.y0 * down


def _degrees(longitude: float) -> float:
    return longitude if longitude <= 180 else longitude - 360


def _place(row: Row, cut: Cut, kind: str = "") -> Row:
    # The id names this window of this image with this content: exact copies of an image have
    # ids of their own, so the ledger can say which one was dropped for which.
    box = cut.box
    text = f"{row['image_id']}\0{row['source_sha256']}\0{box.y0},{box.x0},{box.y1},{box.x1}"
    if (cut.height, cut.width) != (box.height, box.width):
        text += f"\0{cut.height}x{cut.width}"
    digest = hashlib.blake2b(f"{text}{kind}".encode(), digest_size=16).hexdigest()
    return {"tile_id": digest, "y0": box.y0, "x0": box.x0, "h": box.height, "w": box.width}
