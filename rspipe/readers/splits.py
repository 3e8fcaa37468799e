# SPDX-License-Identifier: Apache-2.0
"""Official splits that stand in files: lists of names, VOC's ImageSets, tables with a split column.

A list is a text file with one image a line: a name or the end of a path, with or without suffix,
and whatever follows it (a mask, a label, a count). Its split is the one that its own name contains
(`train.txt`, `resisc45-train.txt`, `ImageSets/Main/train.txt`) or that the card's option gives it:

    split_lists: {train: eurosat-train.txt, test: [eurosat-val.txt, eurosat-test.txt]}

Where several families of lists lie side by side (`eurosat-train.txt`, `eurosat-100-train.txt`) and
the card names none, none is used, and the ledger says so. A table is a CSV file with a column for
the image and one called `split`. Lists and tables go before folders.
"""

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rspipe.errors import ReaderError, RecipeError
from rspipe.io.images import IMAGE_SUFFIXES
from rspipe.readers.base import SPLIT_NAMES, split_in_path
from rspipe.readers.matching import plain_parts
from rspipe.readers.tree import FileTree
from rspipe.schema import DatasetCard

PATH_COLUMNS = ("image_path", "path", "file_path", "file", "filename", "file_name", "image", "name")
"""Columns that name an image, in the tables that people publish."""
_SPLIT_COLUMN = "split"
_SUFFIXES = (*IMAGE_SUFFIXES, ".xml", ".txt", ".json")
# A name in two lists belongs to the one that is held out; trainval gives way to the finer ones.
_HELD_OUT = {"test": 0, "testing": 0, "val": 1, "valid": 1, "validation": 1, "trainval": 3}
_WHOLE = frozenset({"trainval"})
_WORD = re.compile(r"[a-z]+")


@dataclass(frozen=True)
class SplitLists:
    """What the lists and tables of a dataset say."""

    splits: dict[str, str] = field(default_factory=dict)
    """Split by name, or by the end of a path, without file suffix."""
    sidecars: dict[str, str] = field(default_factory=dict)
    """The lists and tables."""
    faults: dict[str, str] = field(default_factory=dict)
    """Lists that contradict one before them: path → how."""
    rest: dict[str, str] = field(default_factory=dict)
    """What follows a name in its list, by the name without suffix."""
    tails: dict[str, str | None] = field(default_factory=dict)
    """Split by the ends of the paths that are listed; null where they contradict."""

    def listed(self, path: str) -> str | None:
        """Return the split that a list or table gives an image: by the longest end of its path."""
        if not self.splits:
            return None
        ends = _ends(path)
        found = next((self.splits[end] for end in ends if end in self.splits), None)
        # The lists may know more folders than the tree has.
        return found or self.tails.get(ends[0])

    def split_of(self, path: str, card: DatasetCard) -> str | None:
        """Find the split of an image: from the lists, else from its path."""
        return self.listed(path) or split_in_path(path, card)

    def rest_of(self, path: str) -> str | None:
        """Return what follows an image's name in its list."""
        return next((self.rest[end] for end in _ends(path) if end in self.rest), None)


def read_split_lists(tree: FileTree, card: DatasetCard) -> SplitLists:
    """Read the lists that the card's option `split_lists` names, else those named like a split.

    Where a name stands in two lists, the one that is held out counts (test, then val, then train)
    and the other is a fault; a `trainval` list gives way to finer ones.

    Raises:
        RecipeError: the card names a list that the tree does not hold.
    """
    found = SplitLists()
    declared = card.options.get("split_lists")
    lists = _usual_lists(tree, found) if declared is None else _declared(tree, card, declared)
    owner: dict[str, str] = {}
    for split, path in sorted(lists, key=lambda item: (_HELD_OUT.get(item[0].lower(), 2), item[1])):
        _add_list(found, owner, tree, split, path)
    for path in tree.with_suffix(".csv") if declared is None else ():
        _add_table(found, tree, path)
    for path in tree.with_suffix(".txt"):
        if _is_image_set(path) and path not in found.faults:
            found.sidecars.setdefault(path, "split list")
    return found


def read_table(tree: FileTree, path: str, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Read a CSV file with a header; columns in lower case, cells stripped.

    Raises:
        ReaderError: it is no CSV file.
    """
    text = tree.read_text(path).lstrip("\ufeff")
    try:
        for row in csv.DictReader(text.splitlines(), delimiter=delimiter):
            yield {str(k).strip().lower(): v.strip() for k, v in row.items() if isinstance(v, str)}
    except csv.Error as error:
        raise ReaderError(f"not a usable CSV file: {error}") from error


def split_word(name: str) -> str | None:
    """Find the split that a file's name contains.

    >>> split_word("instances_train2017"), split_word("P0001")
    ('train', None)
    """
    return next((word for word in _WORD.findall(name.lower()) if word in SPLIT_NAMES), None)


def without_suffix(path: str) -> str:
    """Drop an image's or an annotation's suffix, and no other: names have dots.

    >>> without_suffix("a/P0.5.png"), without_suffix("a/P0.5")
    ('a/P0.5', 'a/P0.5')
    """
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in _SUFFIXES else path


def plain_name(name: str) -> str:
    """Write the name that a list or table gives an image as a posix path."""
    return name.strip("\"' ").replace("\\", "/").removeprefix("./").lstrip("/")


def _ends(path: str) -> list[str]:
    """Ends of a path without suffix and containers, the longest first."""
    parts = without_suffix("/".join(plain_parts(path))).split("/")
    return ["/".join(parts[i:]) for i in range(len(parts))]


def _is_image_set(path: str) -> bool:
    return "ImageSets" in path.split("/")[:-1]


def _usual_lists(tree: FileTree, found: SplitLists) -> list[tuple[str, str]]:
    """Find the lists that are called like a split; those of one class (VOC) are none."""
    lists, families = [], {}
    for path in tree.with_suffix(".txt"):
        stem = path.rpartition("/")[2].rpartition(".")[0]
        split = stem if stem.lower() in SPLIT_NAMES else split_word(stem)
        if split is None or stem in tree.images_by_stem:
            continue
        if split == stem:
            lists.append((split, path))
        elif not _is_image_set(path) and _names_images(tree, path):
            families[path] = (split, stem.lower().replace(split, "#", 1))
    one_kind = not lists and len({family for _, family in families.values()}) == 1
    for path, (split, _) in families.items():
        if one_kind:
            lists.append((split, path))
        else:
            found.sidecars[path] = (
                "split list; not used: it is one of several kinds here, "
                "name one with the card's option split_lists"
            )
    return lists


def _declared(
    tree: FileTree, card: DatasetCard, declared: dict[str, str | list[str]]
) -> list[tuple[str, str]]:
    texts = tree.with_suffix(".txt", ".csv", ".lst")
    lists = []
    for split, ends in declared.items():
        for end in [ends] if isinstance(ends, str) else ends:
            paths = [path for path in texts if f"/{path}".endswith(f"/{end}")]
            if not paths:
                raise RecipeError(
                    f"card {card.name!r}: split_lists: no file {end!r} in the dataset"
                )
            lists += [(str(split), path) for path in paths]
    return lists


def _add_list(
    found: SplitLists, owner: dict[str, str], tree: FileTree, split: str, path: str
) -> None:
    twice, absent, n_names = [], 0, 0
    for line in _lines(tree.read_text(path)):
        keys, rest, is_there = _keys(line, tree)
        n_names += 1
        absent += not is_there
        for key in keys:
            if _put(found, key, split) != split and split.lower() not in _WHOLE:
                twice.append(key)
            owner.setdefault(key, path)
            if rest:
                found.rest.setdefault(key, rest)
    if twice:
        first = f"{twice[0]} in {owner[twice[0]]}"
        found.faults[path] = f"{len(twice):,} of its names stand in another list: {first}"
        return
    missing = f"; {absent:,} of {n_names:,} names have no image" if absent else ""
    found.sidecars[path] = f"split list{missing}"


def _put(found: SplitLists, key: str, split: str) -> str:
    """Note a name's split, unless it has one; returns what it has."""
    folders = key.split("/")
    for i in range(1, len(folders)):
        tail = "/".join(folders[i:])
        found.tails[tail] = split if found.tails.get(tail, split) == split else None
    return found.splits.setdefault(key, split)


def _add_table(found: SplitLists, tree: FileTree, path: str) -> None:
    if _SPLIT_COLUMN not in tree.read_text(path, 4096).split("\n", 1)[0].lower():
        return
    try:
        rows = list(read_table(tree, path))
    except ReaderError as error:
        found.faults[path] = str(error)
        return
    for row in rows:
        column = next((c for c in PATH_COLUMNS if c in row), None)
        if column is not None and row[column] and row.get(_SPLIT_COLUMN):
            _put(found, without_suffix(plain_name(row[column])), row[_SPLIT_COLUMN])
            found.sidecars[path] = "table of splits"


def _lines(text: str) -> Iterator[str]:
    return (line.strip() for line in text.lstrip("\ufeff").splitlines() if line.strip())


def _names_images(tree: FileTree, path: str) -> bool:
    lines = list(_lines(tree.read_text(path, 4096)))
    return any(_keys(line, tree)[2] for line in lines[:3])


def _keys(line: str, tree: FileTree) -> tuple[list[str], str, bool]:
    """Take a line of a list apart: its name, what follows it, and whether there is such an image.

    Names have blanks and commas, so what is there decides; if nothing is, the whole line and its
    first word are both taken for names.
    """
    for name, rest in _cuts(line):
        key = without_suffix(plain_name(name))
        if key.rpartition("/")[2] in tree.images_by_stem:
            return [key], rest, True
    names = dict.fromkeys((line, line.split(maxsplit=1)[0]))
    return [without_suffix(plain_name(name)) for name in names], "", False


def _cuts(line: str) -> Iterable[tuple[str, str]]:
    yield line, ""
    for separator in ("\t", ",", " "):
        name, _, rest = line.partition(separator)
        yield name.strip(), rest.strip()
        name, _, rest = line.rpartition(separator)
        yield name.strip(), rest.strip()
