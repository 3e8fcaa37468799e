# SPDX-License-Identifier: Apache-2.0
"""Class folders, and what comes close to them: one label per image, or none.

    [split/]class/name.jpg       UC Merced, AID, RESISC-45, EuroSAT, PatternNet, Million-AID …
    class_12.jpg                 flat: the class is the beginning of the name
    images/12.jpg, labels.csv    flat: the class stands in a table (Planet, UC Merced multi-label)
    train.txt                    lines "folder/name.jpg label" (COWC)

Card options:

- `label_from`: `folder` (the default: the folder right above the image), `prefix` (the name without
  its last number: `baseball_field_12.jpg`), `list` (what follows the name in a split list), `table`
  (see `labels_csv`), `none`. Sets whose card has another task than classification have no labels.
- `labels_csv`: {file, path, label, split, delimiter, label_separator}: a CSV file with a header.
  `path` and `label` name its columns. `label: [a, b]` are several columns, and `label: "*"` all but
  the path's and the split's, each a class that holds where there is a 1. A cell may hold several
  labels, cut at `label_separator`. Several labels of an image are sorted and joined by `|`.
- `label_names`: {published label: name to use}.
- `split_lists`, and `splits`, `split_patterns`, `sidecars`: see `splits` and `base`.

Official splits that are lists (RESISC-45, EuroSAT, UC Merced, and the training-ratio lists of AID)
are found by their names, or named by the card; see `splits`.

Known faults: a class may be called like a split (`train_station`); its neighbours tell them apart.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from pydantic import Field

from rspipe.errors import RecipeError
from rspipe.io.containers import container_suffix
from rspipe.readers.base import Listing, split_in_path
from rspipe.readers.label_table import LabelsCsv, LabelTable
from rspipe.readers.splits import SplitLists, read_split_lists, without_suffix
from rspipe.readers.tree import FileTree
from rspipe.recipe import Strict, validate
from rspipe.schema import Annotation, DatasetCard, ImageRecord

_LAST_NUMBER = re.compile(r"^(.*?)[ _-]*\(?\d+\)?$")


class Options(Strict):
    """Card options; see the module."""

    label_from: Literal["folder", "prefix", "list", "table", "none"] | None = None
    labels_csv: LabelsCsv | None = None
    label_names: dict[str, str] = Field(default_factory=dict)


class ImageFolder:
    """Every image is listed, with the label that its folder, name, list or table gives it."""

    name = "image_folder"
    options: tuple[str, ...] = ("split_lists", *Options.model_fields)

    def recognises(self, tree: FileTree) -> bool:
        """Two or more folders that hold images and nothing deeper; the weakest clue of all."""
        return len({path.rpartition("/")[0] for path in tree.image_paths}) >= 2

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List every image with its label and split.

        Raises:
            RecipeError: an option of the card is wrong, or names a file that is not there.
        """
        mine = {key: value for key, value in card.options.items() if key in Options.model_fields}
        options = validate(mine, Options, f"card {card.name!r}: options")
        splits = read_split_lists(tree, card)
        table = LabelTable.read(tree, card, options.labels_csv) if options.labels_csv else None
        folders = _Folders(tree, card)
        label_of = _labeller(options, card, splits, table, folders)
        images = {}
        for path in tree.image_paths:
            label = label_of(path)
            images[path] = ImageRecord(
                source_path=path,
                split=splits.listed(path) or (table and table.split(path)) or folders.split(path),
                annotation=_labelled(options.label_names.get(label, label) if label else None),
            )
        beside = Listing({}, splits.sidecars, splits.faults)
        if table:
            beside |= Listing({}, table.sidecars, table.faults)
        return Listing(images) | beside


@lru_cache(maxsize=2**16)
def _labelled(label: str | None) -> Annotation:
    # One for all images of a class.
    return Annotation(label=label)


def _labeller(
    options: Options,
    card: DatasetCard,
    splits: SplitLists,
    table: LabelTable | None,
    folders: "_Folders",
) -> Callable[[str], str | None]:
    """Choose what gives an image its label."""
    source = options.label_from or ("table" if table else "folder")
    if source == "table" and table is None:
        raise RecipeError(f"card {card.name!r}: label_from: table needs labels_csv")
    # A card that says where labels stand means them, whatever its task.
    if not options.label_from and not table:
        source = source if card.task == "classification" or card.layout == "auto" else "none"
    sources: dict[str, Callable[[str], str | None]] = {
        "folder": folders.label,
        "prefix": _prefix,
        "list": splits.rest_of,
        "none": lambda _: None,
    }
    return table.label if source == "table" and table else sources[source]


def _prefix(path: str) -> str | None:
    """Return the beginning of a name, without its number.

    >>> _prefix("a/baseball_field_12.jpg"), _prefix("river (3).png")
    ('baseball_field', 'river')
    """
    stem = without_suffix(path.rpartition("/")[2])
    found = _LAST_NUMBER.match(stem)
    return (found[1] if found else stem) or None


class _Folders:
    """Tells folders that are classes from those that are splits, each folder once."""

    def __init__(self, tree: FileTree, card: DatasetCard) -> None:
        self._card = card
        neighbours: dict[str, list[str]] = defaultdict(list)
        for folder in dict.fromkeys(path.rpartition("/")[0] for path in tree.image_paths):
            neighbours[folder.rpartition("/")[0]].append(folder)
        self._labels: dict[str, str | None] = {}
        self._splits: dict[str, str | None] = {}
        for folders in neighbours.values():
            self._add(folders)

    def _add(self, folders: list[str]) -> None:
        """Judge the folders of images that lie side by side."""
        names = {folder: folder.rpartition("/")[2] for folder in folders}
        own = {f: split_in_path(f"{name}/x", self._card) for f, name in names.items()}
        # `train_station` beside `school`: where not all are splits, two words make a class.
        mixed = any(split is None for split in own.values()) and "splits" not in self._card.options
        for folder, name in names.items():
            is_class = own[folder] is None or (mixed and re.search(r"[ _-]", name) is not None)
            inside = folder.rpartition("/")[0] if is_class else folder
            self._splits[folder] = split_in_path(f"{inside}/x" if inside else "x", self._card)
            is_archive = container_suffix(name) is not None
            self._labels[folder] = name if is_class and name and not is_archive else None

    def split(self, path: str) -> str | None:
        """Return the split that an image's folders name."""
        if "split_patterns" in self._card.options:  # these see the name of the file too
            return split_in_path(path, self._card)
        return self._splits[path.rpartition("/")[0]]

    def label(self, path: str) -> str | None:
        """Return the folder right above an image, unless it is a split or an archive."""
        return self._labels[path.rpartition("/")[0]]
