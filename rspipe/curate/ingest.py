"""Stage 1, ingest: every file below a dataset's root becomes one row, with the reason if unread."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from rspipe.catalog import CARD_NAME, card_for
from rspipe.curate.config import CurateRecipe
from rspipe.curate.rows import drop
from rspipe.errors import RecipeError, UnreadableImage
from rspipe.io import images, raster
from rspipe.readers import FileEntry, FileTree, Listing, read_dataset
from rspipe.recipe import fingerprint, nearest_name
from rspipe.schema import IMAGE_SCHEMA, DatasetCard, ImageRecord

VERSION = 1
LOOSE = "(loose)"
"""Name under which files that lie beside the dataset folders are listed."""

_DOCUMENTS = frozenset({".md", ".txt", ".pdf", ".rst", ".yaml", ".yml"})
_DOCUMENT_NAMES = ("LICENSE", "LICENCE", "README", "COPYING")
_ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2"})


@dataclass(frozen=True)
class Dataset:
    """One dataset folder: its card, its files and what its reader says of them."""

    card: DatasetCard
    tree: FileTree
    listing: Listing

    @property
    def name(self) -> str:
        """The name in every table."""
        return self.card.name

    def fingerprint(self) -> str:
        """Hash of the card and of every file's path, size and time of change."""
        files = [(f.path, f.size_bytes, f.mtime_ns) for f in self.tree.files]
        return fingerprint(self.card, files)


@dataclass(frozen=True)
class IngestItem:
    """One partition: some files of one dataset."""

    root: Path
    card: DatasetCard
    files: tuple[FileEntry, ...]
    records: dict[str, ImageRecord]
    not_images: dict[str, tuple[str, str]]
    """Path → (reason, detail) of files that are no image."""


def list_datasets(recipe: CurateRecipe) -> list[Dataset]:
    """List the datasets below the recipe's data folder, sorted by name.

    Raises:
        RecipeError: the folder or a named dataset is missing, or two datasets share a name.
    """
    if not recipe.data.is_dir():
        raise RecipeError(
            f"data={recipe.data}: no such folder; `make data` writes the demo's, "
            "or name your own with data=FOLDER"
        )
    folders = {f.name: f for f in sorted(recipe.data.iterdir()) if f.is_dir()}
    wanted = sorted(folders) if recipe.what.datasets == "auto" else recipe.what.datasets
    for name in wanted:
        if name not in folders:
            raise RecipeError(
                f"what.datasets: no folder {name!r} in {recipe.data}{nearest_name(name, folders)}"
            )
    datasets = [_list_dataset(folders[name]) for name in wanted]
    if recipe.what.datasets == "auto":
        datasets += _loose_files(recipe.data)
    if not any(dataset.tree.files for dataset in datasets):
        raise RecipeError(f"data={recipe.data}: the folder holds no file")
    names = [dataset.name for dataset in datasets]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two folders of {recipe.data} have a card named {name!r}")
    return datasets


def _list_dataset(folder: Path) -> Dataset:
    card, tree = card_for(folder), FileTree.scan(folder)
    return Dataset(card, tree, read_dataset(tree, card))


def _loose_files(folder: Path) -> list[Dataset]:
    tree = FileTree.scan(folder)
    loose = FileTree(folder, tuple(f for f in tree.files if "/" not in f.path))
    return [Dataset(DatasetCard(name=LOOSE), loose, Listing())] if loose.files else []


def partitions(dataset: Dataset, files_per_partition: int) -> list[IngestItem]:
    """Cut a dataset's files into partitions, in path order."""
    not_images = _not_images(dataset)
    items = []
    for start in range(0, len(dataset.tree.files), files_per_partition):
        files = dataset.tree.files[start : start + files_per_partition]
        paths = {entry.path for entry in files}
        items.append(
            IngestItem(
                dataset.tree.root,
                dataset.card,
                files,
                {p: r for p, r in dataset.listing.images.items() if p in paths},
                {p: why for p, why in not_images.items() if p in paths},
            )
        )
    return items


def _not_images(dataset: Dataset) -> dict[str, tuple[str, str]]:
    listing = dataset.listing
    found: dict[str, tuple[str, str]] = {}
    for path in dataset.tree.paths:
        if path in listing.faults:
            found[path] = ("bad_annotation", listing.faults[path])
        elif path in listing.sidecars:
            found[path] = ("sidecar", listing.sidecars[path])
        elif path not in listing.images and not images.claims_image(path):
            found[path] = _why_no_image(path)
    return found


def _why_no_image(path: str) -> tuple[str, str]:
    name, suffix = PurePosixPath(path).name, PurePosixPath(path).suffix.lower()
    if name == CARD_NAME:
        return "sidecar", "dataset card"
    if suffix in _DOCUMENTS or name.upper().startswith(_DOCUMENT_NAMES):
        return "sidecar", "document"
    if suffix in _ARCHIVES:
        return "not_an_image", "an archive: unpack it beside itself to have it read"
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
    row |= {"split": record.split} | record.annotation.model_dump()
    try:
        return row | _open(item.root / path, path, card)
    except UnreadableImage as error:
        return drop(row, "ingest", "unreadable", error.reason)
    except OSError as error:
        return drop(row, "ingest", "unreadable", f"the file cannot be opened: {error.strerror}")


def image_id(dataset: str, source_path: str) -> str:
    """Name a published image: 32 hex digits of its dataset and its path there."""
    return hashlib.blake2b(f"{dataset}\0{source_path}".encode(), digest_size=16).hexdigest()


def _open(file: Path, path: str, card: DatasetCard) -> dict[str, Any]:
    if not file.is_file():
        dead = file.is_symlink() and not file.exists()
        raise UnreadableImage(path, "a link to nowhere" if dead else "not a regular file")
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        stream.seek(0)
        head = stream.read(512)
    kind = images.sniff_format(head)
    if kind in images.RASTER_FORMATS:
        return {"source_sha256": sha256} | _raster_columns(file, path, card)
    if kind in {"HDF4", "HDF5"}:
        raise UnreadableImage(path, f"{kind} containers need a card with their bands; not read yet")
    facts = images.read_facts(file.read_bytes(), path)
    if facts.dtype != "uint8":
        return {"source_sha256": sha256} | _raster_columns(file, path, card)
    return {
        "source_sha256": sha256,
        "height": facts.height,
        "width": facts.width,
        "bands": facts.bands,
        "dtype": facts.dtype,
        "format": facts.format,
        "display_bands": _picture_bands(facts.bands, card),
        "gsd_m": _single_gsd(card),
    }


def _raster_columns(file: Path, path: str, card: DatasetCard) -> dict[str, Any]:
    facts = raster.read_facts(file, path, card.bands)
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
        "gsd_m": facts.gsd_m or _single_gsd(card),
    }


def _picture_bands(bands: int, card: DatasetCard) -> list[int] | None:
    """Bands of a JPEG or PNG that is a visible-light picture, unless its card says otherwise."""
    if card.bands is not None and not {"red", "green", "blue", "grey"} & set(card.bands):
        return None
    return [1] if bands in {1, 2} else [1, 2, 3]


def _single_gsd(card: DatasetCard) -> float | None:
    return card.gsd_m[0] if card.gsd_m and card.gsd_m[0] == card.gsd_m[1] else None
