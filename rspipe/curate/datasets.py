"""The datasets of a recipe: each with its card, its files, and what its reader says of them."""

from dataclasses import dataclass
from functools import cached_property

from rspipe.catalog import CARD_NAME, card_of
from rspipe.curate.config import CurateRecipe
from rspipe.errors import RecipeError, UnreadableImage
from rspipe.io.containers import container_suffix
from rspipe.readers import FileEntry, FileTree, Listing, Storage, read_dataset
from rspipe.recipe import fingerprint, nearest_name
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

    def fingerprint(self) -> str:
        """Hash of the card and of every file's path, size and time of change."""
        files = [(f.path, f.size_bytes, f.mtime_ns) for f in self.tree.files]
        return fingerprint(self.card, files)

    @cached_property
    def entries(self) -> tuple[FileEntry, ...]:
        """Every file, and every image that no single file is, sorted by path."""
        made = self.listing.images.keys() - set(self.tree.paths)
        virtual = (FileEntry(path, 0, 0) for path in made)
        return tuple(sorted((*self.tree.files, *virtual), key=lambda entry: entry.path))


def list_datasets(recipe: CurateRecipe) -> list[Dataset]:
    """List the datasets below the recipe's data folder, sorted by name.

    A folder is a dataset; so is an archive (zip, tar, Parquet) that lies beside the folders, under
    its name without suffix.

    Raises:
        RecipeError: the folder or a named dataset is missing, or two datasets share a name.
    """
    root = Storage(recipe.data, recipe.cache_folder)
    if not root.exists():
        raise RecipeError(
            f"data={recipe.data}: no such folder; `make data` writes the demo's, "
            "or name your own with data=FOLDER"
        )
    sources = {name: name for name in root.folders()}
    loose = root.loose_files()
    archives = {f: suffix for f in loose if (suffix := container_suffix(f)) is not None}
    sources |= {file.removesuffix(file[-len(suffix) :]): file for file, suffix in archives.items()}
    wanted = sorted(sources) if recipe.what.datasets == "auto" else recipe.what.datasets
    for name in wanted:
        if name not in sources:
            raise RecipeError(
                f"what.datasets: no folder {name!r} in {recipe.data}{nearest_name(name, sources)}"
            )
    datasets = [list_dataset(root, name, sources[name]) for name in wanted]
    if recipe.what.datasets == "auto":
        datasets += _loose_files(root, [name for name in loose if name not in archives])
    if not any(dataset.tree.files for dataset in datasets):
        raise RecipeError(f"data={recipe.data}: the folder holds no file")
    names = [dataset.name for dataset in datasets]
    for name in names:
        if names.count(name) > 1:
            raise RecipeError(f"two datasets of {recipe.data} have a card named {name!r}")
    return datasets


def list_dataset(root: Storage, name: str, source: str) -> Dataset:
    """List one dataset.

    Args:
        root: the folder that holds it.
        name: its name; the catalog's card of that name describes it, unless it brings its own.
        source: its folder or archive in `root`.

    Raises:
        RecipeError: its own card is wrong.
    """
    if container_suffix(source) is not None and source in root.loose_files():
        tree = FileTree.scan(root, only=source)
    else:
        tree = FileTree.scan(root.below(source))
    card = card_of(name, _own_card(tree), f"{source}/{CARD_NAME}")
    return Dataset(card, tree, read_dataset(tree, card))


def _own_card(tree: FileTree) -> str | None:
    if CARD_NAME not in tree.paths:
        return None
    try:
        return tree.storage.read_bytes(CARD_NAME).decode()
    except (UnreadableImage, UnicodeDecodeError) as error:
        raise RecipeError(f"{tree.storage.root}/{CARD_NAME}: not readable: {error}") from error


def _loose_files(root: Storage, names: list[str]) -> list[Dataset]:
    files = tuple(entry for name in names for entry in root.scan(only=name))
    return [Dataset(DatasetCard(name=LOOSE), FileTree(root, files), Listing())] if files else []
