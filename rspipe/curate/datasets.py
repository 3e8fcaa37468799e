# SPDX-License-Identifier: Apache-2.0
"""The datasets of a recipe: each with its card, its files, and what its reader says of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from rspipe.catalog import CARD_NAME, card_of
from rspipe.curate.config import CurateRecipe
from rspipe.errors import RecipeError, UnreadableImage
from rspipe.io.containers import container_suffix
from rspipe.readers import FileEntry, FileTree, Listing, Storage, read_dataset
from rspipe.recipe import nearest_name
from rspipe.schema import DatasetCard

LOOSE = "(loose)"
"""Name under which files that lie beside the dataset folders are listed."""


@dataclass(frozen=True)
class Dataset:
    """One dataset: its card, its files and what its reader says of them."""

    card: DatasetCard
    tree: FileTree
    listing: Listing

    @property
    def name(self) -> str:
        """The name in every table."""
        return self.card.name

    @cached_property
    def entries(self) -> tuple[FileEntry, ...]:
        """Every file, and every image that no single file is, in the order of their names."""
        made = self.listing.images.keys() - set(self.tree.paths)
        virtual = (FileEntry(path, 0, 0) for path in made)
        return tuple(sorted((*self.tree.files, *virtual), key=_table_order))


def readable_path(path: str) -> str:
    r"""Return a path as the tables write it: bytes that are no UTF-8 become U+FFFD.

    >>> readable_path("a\udce9.jpg") == "a\ufffd.jpg"
    True
    """
    return path.encode(errors="surrogateescape").decode(errors="replace")


def _table_order(entry: FileEntry) -> tuple[str, str]:
    # Code points sort as UTF-8 bytes do, which is how Arrow sorts: so partitions, one after the
    # other, are the ledger in its order.
    return readable_path(entry.path), entry.path


def iter_datasets(recipe: CurateRecipe) -> Iterator[Dataset]:
    """List the datasets below the recipe's data folder, sorted by the names that the tables use.

    A folder is a dataset; so is an archive (zip, tar, Parquet) that lies beside the folders, under
    its name without suffix. They are listed one by one: memory holds the files of one dataset.

    Raises:
        RecipeError: the folder or a named dataset is missing, two datasets share a name, or there
            is no file at all.
    """
    root = Storage(recipe.data, recipe.cache_folder)
    if not root.exists():
        raise RecipeError(
            f"data={recipe.data}: no such folder; `make data` writes the demo's, "
            "or name your own with data=FOLDER"
        )
    found = 0
    for source in _sources(root, recipe):
        dataset = source.list()
        found += len(dataset.tree.files)
        yield dataset
    if not found:
        raise RecipeError(f"data={recipe.data}: the folder holds no file")


@dataclass(frozen=True)
class _Source:
    """Where a dataset lies: what is known of it before its files are listed."""

    root: Storage
    card: DatasetCard
    files: tuple[str, ...] | None
    """The files of `root` that belong to it; None: all below it."""

    def list(self) -> Dataset:
        if self.files is None:
            tree = FileTree.scan(self.root)
        else:
            entries = tuple(entry for name in self.files for entry in self.root.scan(only=name))
            tree = FileTree(self.root, entries)
        listing = Listing() if self.card.name == LOOSE else read_dataset(tree, self.card)
        return Dataset(self.card, tree, listing)


def _sources(root: Storage, recipe: CurateRecipe) -> list[_Source]:
    loose = root.loose_files()
    suffixes = {file: container_suffix(file) for file in loose}
    archives = {file[: -len(suffix)]: file for file, suffix in suffixes.items() if suffix}
    folders = root.folders()
    auto = recipe.what.datasets == "auto"
    known = {*folders, *archives}
    wanted = sorted(known) if recipe.what.datasets == "auto" else recipe.what.datasets
    found = []
    for name in wanted:
        if name in archives:
            found.append(_Source(root, card_of(name), (archives[name],)))
        elif name in known:
            found.append(_Source(root.below(name), card_of_folder(root.below(name), name), None))
        else:
            raise RecipeError(
                f"what.datasets: no folder {name!r} in {recipe.data}{nearest_name(name, known)}"
            )
    others = tuple(file for file in loose if suffixes[file] is None)
    if auto and others:
        found.append(_Source(root, DatasetCard(name=LOOSE), others))
    found.sort(key=lambda source: source.card.name)
    for one, other in pairwise(found):
        if one.card.name == other.card.name:
            raise RecipeError(f"two datasets of {recipe.data} have a card named {one.card.name!r}")
    _check_rules(recipe, {source.card.name for source in found})
    return found


def _check_rules(recipe: CurateRecipe, names: set[str]) -> None:
    """Refuse rules for single datasets that name none: they would be passed over in silence.

    Raises:
        RecipeError: a rule names a dataset that the recipe does not read.
    """
    rules = {
        "what.exclude.display_bands": set(recipe.what.exclude.display_bands),
        "what.slice.stretch.datasets": set(recipe.what.slice.stretch.datasets),
    }
    for key, named in rules.items():
        for name in sorted(named):
            if name not in names:
                raise RecipeError(f"{key}: no dataset {name!r}{nearest_name(name, names)}")


def card_of_folder(folder: Storage, name: str) -> DatasetCard:
    """Return the card of a dataset's folder: the one it brings, else as `catalog.card_of`.

    Raises:
        RecipeError: its own card is wrong or not readable.
    """
    if not folder.has(CARD_NAME):
        return card_of(name)
    try:
        own = folder.read_bytes(CARD_NAME).decode()
    except (UnreadableImage, UnicodeDecodeError) as error:
        raise RecipeError(f"{folder.root}/{CARD_NAME}: not readable: {error}") from error
    return card_of(name, own, f"{name}/{CARD_NAME}")
