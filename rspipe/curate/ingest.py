# SPDX-License-Identifier: Apache-2.0
"""Stage 1, ingest: every file below a dataset's root becomes one row, with the reason if unread."""

import hashlib
import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import pyarrow as pa

from rspipe.curate.datasets import readable_path
from rspipe.curate.listing import LISTING_SCHEMA
from rspipe.curate.rows import ALL_ROWS, Rows, drop
from rspipe.errors import UnreadableImage
from rspipe.io import derived, images, raster
from rspipe.io.derived import files_of, local_raster
from rspipe.io.places import Place
from rspipe.io.tables import read_table
from rspipe.readers import Storage
from rspipe.readers.base import split_in_path
from rspipe.readers.boxes import in_pixels
from rspipe.schema import IMAGE_SCHEMA, DatasetCard, Derivation, ImageRecord

VERSION = 6

Row = dict[str, Any]
_CHUNK_BYTES = 2**20


@dataclass(frozen=True)
class IngestItem:
    """One partition: some files of one dataset."""

    storage: Storage
    card: DatasetCard
    listing: Place
    """Table of `listing.LISTING_SCHEMA`."""
    rows: Rows = ALL_ROWS

    def count(self) -> int:
        """Files to open."""
        return self.rows.count(self.listing)

    def piece(self, start: int, stop: int) -> "IngestItem":
        """Some of the files."""
        return replace(self, rows=self.rows.piece(start, stop))

    def give_up(self, why: str) -> pa.Table:
        """The row of a file that no process survives."""
        rows = [drop(_base(self.card, line), "ingest", "unreadable", why) for line in _lines(self)]
        return pa.Table.from_pylist(rows, IMAGE_SCHEMA)


def ingest(item: IngestItem) -> pa.Table:
    """Open every file of a partition far enough to know what it is; one row each."""
    return pa.Table.from_pylist([_row(item, line) for line in _lines(item)], IMAGE_SCHEMA)


def _lines(item: IngestItem) -> list[Row]:
    return list(item.rows.of(read_table(item.listing, LISTING_SCHEMA)).to_pylist())


def _base(card: DatasetCard, line: Row) -> Row:
    """What is known of a file before it is opened."""
    name = readable_path(os.fsdecode(line["path"]))
    return {
        "dataset": card.name,
        "dataset_version": card.version,
        "source_path": name,
        "image_id": image_id(card.name, name),
        "source_size_bytes": line["size_bytes"],
        "licence": card.licence,
        "licence_url": card.licence_url,
        "attribution": card.attribution,
        "redistributable": card.redistributable,
    }


def _row(item: IngestItem, line: Row) -> Row:
    card, path = item.card, os.fsdecode(line["path"])
    row = _base(card, line)
    if line["reason"] is not None:
        return drop(row, "ingest", line["reason"], line["detail"])
    if path != row["source_path"]:
        return drop(row, "ingest", "unreadable", "its name is not UTF-8: rename it")
    if line["record"] is None:
        # No reader mentions it, but its folder may still say that it is a benchmark's.
        record = ImageRecord(source_path=path, split=split_in_path(path, card))
    else:
        record = ImageRecord.model_validate_json(line["record"])
    row |= {"split": record.split} | record.geography.model_dump()
    row |= record.annotation.model_dump(exclude={"boxes", "boxes_normalised"})
    if record.derivation is not None:
        row["derivation"] = record.derivation.model_dump_json()
    try:
        facts = _open(item.storage, row, path, card)
    except UnreadableImage as error:
        return drop(row, "ingest", "unreadable", error.reason)
    boxes = in_pixels(record.annotation, facts["height"], facts["width"]).boxes
    row["boxes"] = None if boxes is None else [asdict(box) for box in boxes]
    # What the file itself says goes before what was said of it.
    return row | {key: value for key, value in facts.items() if value is not None}


def image_id(dataset: str, source_path: str) -> str:
    """Name a published image: 32 hex digits of its dataset and its path there."""
    return hashlib.blake2b(f"{dataset}\0{source_path}".encode(), digest_size=16).hexdigest()


def _open(storage: Storage, row: dict[str, Any], path: str, card: DatasetCard) -> dict[str, Any]:
    if row.get("derivation") is not None:
        return _derived_columns(storage, row, card)
    head, sha256, size_bytes = _digest(storage, path)
    found = {"source_sha256": sha256, "source_size_bytes": size_bytes}
    kind = images.sniff_format(head)
    if kind in images.RASTER_FORMATS:
        return found | _raster_columns(storage, row, card)
    if kind in {"HDF4", "HDF5"}:
        raise UnreadableImage(path, f"{kind} container: its card must name its sub-datasets")
    facts = images.read_facts(storage.read_bytes(path), path)
    if facts.dtype != "uint8":
        return found | _raster_columns(storage, row, card)
    return found | {
        "height": facts.height,
        "width": facts.width,
        "bands": facts.bands,
        "dtype": facts.dtype,
        "format": facts.format,
        "display_bands": _picture_bands(facts.bands, card),
        "gsd_m": row["gsd_m"] or _single_gsd(card),
    }


def _derived_columns(storage: Storage, row: dict[str, Any], card: DatasetCard) -> dict[str, Any]:
    """Describe an image that no single file is; its hash is one of what it is made of."""
    rule = Derivation.model_validate_json(row["derivation"])
    digests = [_digest(storage, file) for file in files_of(rule)]
    shas = [sha256 for _, sha256, _ in digests]
    found = {
        "source_sha256": shas[0]
        if len(shas) == 1
        else hashlib.sha256("\n".join(shas).encode()).hexdigest(),
        "source_size_bytes": sum(size for *_, size in digests),
    }
    return found | _raster_columns(storage, row, card, rule.bands)


def _digest(storage: Storage, path: str) -> tuple[bytes, str, int]:
    """Read a file once: its first bytes, its SHA-256 and its size."""
    sha256, size_bytes, head = hashlib.sha256(), 0, b""
    with storage.open(path) as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            head = head or chunk[:512]
            sha256.update(chunk)
            size_bytes += len(chunk)
    return head, sha256.hexdigest(), size_bytes


def _raster_columns(
    storage: Storage, row: dict[str, Any], card: DatasetCard, bands: tuple[str, ...] | None = None
) -> dict[str, Any]:
    with local_raster(storage, row["source_path"], row.get("derivation")) as file:
        facts = raster.read_facts(file, row["source_path"], bands or card.bands)
        acquired = row["acquired"] or (None if bands is None else derived.acquired(file))
    west, south, east, north = facts.bounds_4326 or (None, None, None, None)
    return {
        "height": facts.height,
        "width": facts.width,
        "bands": facts.bands,
        "dtype": facts.dtype,
        "format": facts.format,
        "display_bands": facts.display_bands,
        "crs": facts.crs,
        "xmin": west,
        "ymin": south,
        "xmax": east,
        "ymax": north,
        "gsd_m": facts.gsd_m or row["gsd_m"] or _single_gsd(card),
        "acquired": acquired,
    }


def _picture_bands(bands: int, card: DatasetCard) -> list[int] | None:
    """Bands of a JPEG or PNG that is a visible-light picture, unless its card says otherwise.

    >>> card = DatasetCard(name="x", bands=("nir", "red", "green"))
    >>> _picture_bands(3, card) is None, _picture_bands(3, DatasetCard(name="y"))
    (True, [1, 2, 3])
    """
    colours = ("red", "green", "blue")
    names = card.bands or colours
    is_visible = all(colour in names for colour in colours)
    if bands in {1, 2}:
        return [1] if is_visible or "grey" in names else None
    if not is_visible:
        return [1, 2, 3] if names == ("grey",) else None
    shown = [names.index(colour) + 1 for colour in colours]
    return shown if max(shown) <= 3 else None


def _single_gsd(card: DatasetCard) -> float | None:
    return card.gsd_m[0] if card.gsd_m and card.gsd_m[0] == card.gsd_m[1] else None
