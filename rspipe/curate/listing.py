# SPDX-License-Identifier: Apache-2.0
"""A dataset's listing on disk: what ingest has to open, in partitions.

The driver lists one dataset at a time, writes down what it found, and forgets it. So it holds the
files of one dataset, never of all, and a worker is sent the path of its partition, not the names.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
from pydantic_core import PydanticSerializationError

from rspipe.catalog import CARD_NAME
from rspipe.curate.config import CurateHow
from rspipe.curate.datasets import Dataset
from rspipe.curate.stage import StageFolder
from rspipe.io import images
from rspipe.io.containers import container_suffix
from rspipe.io.places import Place
from rspipe.io.tables import is_sound_table, write_table
from rspipe.readers import FileEntry, Listing, Storage
from rspipe.recipe import fingerprint
from rspipe.schema import DatasetCard

VERSION = 1

LISTING_SCHEMA = pa.schema(
    [
        # Bytes: a file's name need not be UTF-8.
        pa.field("path", pa.binary()),
        pa.field("size_bytes", pa.int64()),
        # JSON of schema.ImageRecord; null where the reader says nothing of the file.
        pa.field("record", pa.string()),
        # Why the file is no image; null for what is to be opened.
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)
_MOST_PARTITIONS = 512  # per dataset: larger ones get larger partitions
_PARTITION_BYTES = 2**30
_DOCUMENTS = frozenset({".md", ".txt", ".pdf", ".rst", ".yaml", ".yml"})
_DOCUMENT_NAMES = ("LICENSE", "LICENCE", "README", "COPYING")
_ARCHIVES = frozenset({".gz", ".7z", ".rar", ".bz2", ".xz", ".zst"})

_Line = tuple[bytes, int, str | None, str | None, str | None]


@dataclass(frozen=True)
class Listed:
    """A dataset whose listing lies on disk."""

    card: DatasetCard
    storage: Storage
    fingerprint: str
    """Hash of the card, and of the names, sizes, times of change and records of all files."""
    folder: StageFolder
    n_partitions: int
    n_files: int
    size_bytes: int


def write_listing(dataset: Dataset, stages: Place, how: CurateHow) -> Listed:
    """Write down what a dataset's reader found, in partitions and in the order of the tables.

    The folder's name is a hash of all that stands in it, so what is derived from it is made anew
    exactly when something of that changes.

    Args:
        dataset: the dataset.
        stages: folder of all stages.
        how: says how many files make a partition.
    """
    listed, lines, cuts = _listed(dataset, stages, how)
    for index, (start, stop) in enumerate(cuts):
        target = listed.folder.part(index)
        if not is_sound_table(target):
            columns = zip(*lines[start:stop], strict=True)
            arrays = [pa.array(c, f.type) for c, f in zip(columns, LISTING_SCHEMA, strict=True)]
            write_table(pa.table(arrays, schema=LISTING_SCHEMA), target)
    return listed


def look(dataset: Dataset, stages: Place, how: CurateHow) -> Listed:
    """Tell what `write_listing` would write, and write nothing."""
    return _listed(dataset, stages, how)[0]


def _listed(
    dataset: Dataset, stages: Place, how: CurateHow
) -> tuple[Listed, list[_Line], list[tuple[int, int]]]:
    """Name the listing; also its lines, and where they are cut into partitions."""
    digest = hashlib.blake2b(digest_size=16)
    lines = []
    for entry, line in zip(dataset.entries, _lines(dataset), strict=True):
        lines.append(line)
        digest.update(repr((line, entry.size_bytes, entry.mtime_ns)).encode())
    cuts = _cuts([line[1] for line in lines], how.files_per_partition)
    content = fingerprint(VERSION, dataset.card.deciding(), digest.hexdigest())
    listed = Listed(
        *(dataset.card, dataset.tree.storage, content),
        folder=StageFolder.of(stages, "listing", VERSION, cuts, content),
        n_partitions=len(cuts),
        n_files=len(dataset.tree.files),
        size_bytes=sum(entry.size_bytes for entry in dataset.tree.files),
    )
    return listed, lines, cuts


def _cuts(sizes: list[int], files_per_partition: int) -> list[tuple[int, int]]:
    """Cut a list of files into runs: of so many files, or of so many bytes."""
    most_files = max(files_per_partition, -(-len(sizes) // _MOST_PARTITIONS))
    most_bytes = max(_PARTITION_BYTES, sum(sizes) // (4 * _MOST_PARTITIONS))
    cuts, start, size = [], 0, 0
    for index, size_bytes in enumerate(sizes):
        if index > start and (index - start == most_files or size + size_bytes > most_bytes):
            cuts.append((start, index))
            start, size = index, 0
        size += size_bytes
    return [*cuts, (start, len(sizes))] if sizes else []


def _lines(dataset: Dataset) -> Iterator[_Line]:
    for entry in dataset.entries:
        why = _not_an_image(entry, dataset.listing)
        record = dataset.listing.images.get(entry.path)
        said = None
        if record is not None and why is None:
            try:
                said = record.model_dump_json(exclude_defaults=True)
            except PydanticSerializationError:
                why = "unreadable", "a name in it or in its annotation is not UTF-8: rename it"
        reason, detail = why or (None, None)
        yield os.fsencode(entry.path), entry.size_bytes, said, reason, detail


def _not_an_image(entry: FileEntry, listing: Listing) -> tuple[str, str] | None:
    """Give the reason and detail why a file is no image, as far as its name and reader know."""
    path = entry.path
    if entry.fault is not None:
        return "unreadable", entry.fault
    if path in listing.faults:
        return "bad_annotation", listing.faults[path]
    if path in listing.sidecars:
        return "sidecar", listing.sidecars[path]
    if entry.members is not None:
        return "sidecar", f"a container of {entry.members:,} members"
    if path in listing.images or _claims_image(path):
        return None
    return _why_no_image(path)


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
