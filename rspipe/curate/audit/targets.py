# SPDX-License-Identifier: Apache-2.0
"""What a user may name: a folder, archive, Parquet file, picture, URL, or catalog card."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rspipe.catalog import card_of, catalog
from rspipe.curate.datasets import Dataset, card_of_folder
from rspipe.errors import RecipeError
from rspipe.readers import FileTree, Storage, read_dataset
from rspipe.readers.base import split_in_path
from rspipe.recipe import nearest_name

SPLIT_MARK = "::"
"""`folder::train` is the split `train` of a folder, as its reader or card tells splits."""


@dataclass(frozen=True)
class Target:
    """Pictures to compare."""

    text: str
    """As the user wrote it: paths of its pictures begin with it."""
    split: str | None
    """Only this split; None: all."""
    dataset: Dataset


def open_target(text: str, data: Path | None, cache: Path) -> Target:
    """Find and list what a user names.

    Args:
        text: a path, an fsspec URL or the name of a catalog card, with `::split` at its end where
            only one split is meant.
        data: folder in which data sets of the catalog lie.
        cache: folder for what has to be unpacked to be read.

    Raises:
        RecipeError: nothing of that name is there; it holds no file, or no such split.
    """
    name, _, split = text.partition(SPLIT_MARK)
    place, only, prefix = _place(name, data)
    storage = Storage(place, cache)
    tree = FileTree.scan(storage, only)
    known_as = PurePosixPath(name.rstrip("/")).name
    card = card_of_folder(storage, known_as) if only is None else card_of(known_as)
    card = card.model_copy(update={"name": prefix, "benchmark_splits": ()})
    target = Target(name, split or None, Dataset(card, tree, read_dataset(tree, card)))
    if not tree.files:
        raise RecipeError(f"{text}: it holds no file")
    if target.split is not None:
        listed = target.dataset.listing.images
        splits = {record.split for record in listed.values()}
        splits |= {split_in_path(path, card) for path in tree.image_paths if path not in listed}
        if target.split not in splits:
            near = nearest_name(target.split, map(str, splits - {None}))
            raise RecipeError(f"{text}: no split {target.split!r}{near}")
    return target


def _place(name: str, data: Path | None) -> tuple[str, str | None, str]:
    """Give the folder, the one file in it that is meant (None: all), and the paths' prefix."""
    if "://" in name:
        return _remote(name)
    path = Path(name)
    if path.is_dir():
        tiles = path / "data"
        # Of a corpus, the tiles: beside them lie small pictures of what was dropped from it.
        if (path / "ledger").is_dir() and tiles.is_dir():
            return str(tiles), None, str(tiles)
        return str(path), None, name.rstrip("/") or "/"
    if path.is_file():
        return str(path.parent), path.name, str(path.parent)
    folder = _in_catalog(name, data)
    if folder is not None:
        return str(folder), None, str(folder)
    raise RecipeError(_why_not(name, data))


def _remote(name: str) -> tuple[str, str | None, str]:
    if Storage(name).exists():
        return name, None, name.rstrip("/")
    parent, _, file = name.rstrip("/").rpartition("/")
    if file in Storage(parent).loose_files():
        return parent, file, parent
    raise RecipeError(f"{name}: neither a folder nor a file there")


def _in_catalog(name: str, data: Path | None) -> Path | None:
    """Find the folder of a catalog's data set below `data`, under its name or an alias."""
    card = next((c for c in catalog().values() if name in {c.name, *c.aliases}), None)
    if card is None or data is None:
        return None
    return next((data / n for n in (name, card.name, *card.aliases) if (data / n).is_dir()), None)


def _why_not(name: str, data: Path | None) -> str:
    if name in catalog():
        where = f"no folder of it in {data}" if data else "say where data sets lie: --data FOLDER"
        return f"{name}: a data set of the catalog, but {where}; `rspipe catalog fetch {name}`"
    path = Path(name)
    if path.parent.is_dir() and path.parent != Path():
        names = [beside.name for beside in path.parent.iterdir()]
        return f"{name}: no such folder or file{nearest_name(path.name, names)}"
    return f"{name}: no such folder or file, and no data set{nearest_name(name, catalog())}"
