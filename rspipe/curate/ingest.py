"""Stage 1, ingest: every file below a dataset's root becomes one row, with the reason if unread."""

import hashlib
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from rspipe.catalog import CARD_NAME
from rspipe.curate.datasets import Dataset
from rspipe.curate.rows import drop
from rspipe.errors import UnreadableImage
from rspipe.io import derived, images, raster
from rspipe.io.containers import container_suffix
from rspipe.io.derived import files_of, local_raster
from rspipe.readers import FileEntry, Storage
from rspipe.readers.boxes import in_pixels
from rspipe.schema import IMAGE_SCHEMA, DatasetCard, Derivation, ImageRecord

VERSION = 4

_CHUNK_BYTES = 2**20
_DOCUMENTS = frozenset({".md", ".txt", ".pdf", ".rst", ".yaml", ".yml"})
_DOCUMENT_NAMES = ("LICENSE", "LICENCE", "README", "COPYING")
_ARCHIVES = frozenset({".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"})


@dataclass(frozen=True)
class IngestItem:
    """One partition: some files of one dataset."""

    storage: Storage
    card: DatasetCard
    files: tuple[FileEntry, ...]
    records: dict[str, ImageRecord]
    not_images: dict[str, tuple[str, str]]
    """Path → (reason, detail) of files that are no image."""


def partitions(dataset: Dataset, files_per_partition: int) -> list[IngestItem]:
    """Cut a dataset's files into partitions, in path order."""
    not_images, records = _not_images(dataset), dataset.listing.images
    items = []
    for start in range(0, len(dataset.entries), files_per_partition):
        files = dataset.entries[start : start + files_per_partition]
        paths = [entry.path for entry in files]
        items.append(
            IngestItem(
                dataset.tree.storage,
                dataset.card,
                files,
                {p: records[p] for p in paths if p in records},
                {p: not_images[p] for p in paths if p in not_images},
            )
        )
    return items


def _not_images(dataset: Dataset) -> dict[str, tuple[str, str]]:
    listing = dataset.listing
    found: dict[str, tuple[str, str]] = {}
    for entry in dataset.tree.files:
        path = entry.path
        if entry.fault is not None:
            found[path] = ("unreadable", entry.fault)
        elif path in listing.faults:
            found[path] = ("bad_annotation", listing.faults[path])
        elif path in listing.sidecars:
            found[path] = ("sidecar", listing.sidecars[path])
        elif entry.members is not None:
            found[path] = ("sidecar", f"a container of {entry.members:,} members")
        elif path not in listing.images and not _claims_image(path):
            found[path] = _why_no_image(path)
    return found


def _claims_image(path: str) -> bool:
    # A cell of a picture column has no suffix.
    return images.claims_image(path) or ".parquet/" in path.lower()


def _why_no_image(path: str) -> tuple[str, str]:
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    if name == CARD_NAME:
        return "sidecar", "dataset card"
    if suffix in _DOCUMENTS or name.upper().startswith(_DOCUMENT_NAMES):
        return "sidecar", "document"
    if container_suffix(path) is not None and "/" in path:
        return "not_an_image", "an archive without members, or inside an archive: unpack it"
    if suffix in _ARCHIVES:
        return "not_an_image", f"a {suffix} archive: unpack it beside itself to have it read"
    return "not_an_image", f"no reader takes {suffix or 'files without a suffix'} here"


def ingest(item: IngestItem) -> pa.Table:
    """Open every file of a partition far enough to know what it is; one row each."""
    return pa.Table.from_pylist([_row(item, entry) for entry in item.files], IMAGE_SCHEMA)


def _row(item: IngestItem, entry: FileEntry) -> dict[str, Any]:
    card, path = item.card, entry.path
    readable_path = path.encode(errors="surrogateescape").decode(errors="replace")
    row: dict[str, Any] = {
        "dataset": card.name,
        "dataset_version": card.version,
        "source_path": readable_path,
        "image_id": image_id(card.name, readable_path),
        "source_size_bytes": entry.size_bytes,
        "licence": card.licence,
        "licence_url": card.licence_url,
        "attribution": card.attribution,
        "redistributable": card.redistributable,
    }
    if path in item.not_images:
        return drop(row, "ingest", *item.not_images[path])
    if path != readable_path:
        return drop(row, "ingest", "unreadable", "its name is not UTF-8: rename it")
    record = item.records.get(path, ImageRecord(source_path=path))
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
    """Bands of a JPEG or PNG that is a visible-light picture, unless its card says otherwise."""
    if card.bands is not None and not {"red", "green", "blue", "grey"} & set(card.bands):
        return None
    return [1] if bands in {1, 2} else [1, 2, 3]


def _single_gsd(card: DatasetCard) -> float | None:
    return card.gsd_m[0] if card.gsd_m and card.gsd_m[0] == card.gsd_m[1] else None
