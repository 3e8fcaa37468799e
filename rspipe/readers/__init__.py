# SPDX-License-Identifier: Apache-2.0
"""Readers: one file per layout. `READERS` is the whole list, strongest clue first.

Readers of other packages (rspipe.plugins) are asked before them.
"""

from functools import cache
from itertools import islice

from rspipe.errors import RecipeError
from rspipe.io.storage import FileEntry, Storage
from rspipe.plugins import plugins
from rspipe.readers.base import SHARED_OPTIONS, Listing, Reader, declared_sidecars, record
from rspipe.readers.change_pairs import ChangePairs
from rspipe.readers.coco import Coco
from rspipe.readers.dota import Dota
from rspipe.readers.fair1m import Fair1m
from rspipe.readers.fmow import FMow
from rspipe.readers.hrsc import Hrsc
from rspipe.readers.image_folder import ImageFolder
from rspipe.readers.mask_pairs import MaskPairs
from rspipe.readers.modis_hdf import ModisHdf
from rspipe.readers.parquet import Parquet
from rspipe.readers.scenes import Scenes
from rspipe.readers.spacenet import SpaceNet
from rspipe.readers.splits import read_split_lists
from rspipe.readers.tree import FileTree
from rspipe.readers.voc import Voc
from rspipe.readers.webdataset import WebDataset
from rspipe.readers.xbd import Xbd
from rspipe.readers.xview import XView
from rspipe.readers.yolo import Yolo
from rspipe.recipe import nearest_name
from rspipe.schema import DatasetCard

READERS: dict[str, Reader] = {
    reader.name: reader
    for reader in (
        Parquet(),
        WebDataset(),
        Fair1m(),
        Hrsc(),
        Voc(),
        Dota(),
        Yolo(),
        XView(),
        FMow(),
        Coco(),
        Xbd(),
        SpaceNet(),
        ChangePairs(),
        MaskPairs(),
        ModisHdf(),
        Scenes(),
        ImageFolder(),
    )
}

__all__ = [
    "READERS",
    "FileEntry",
    "FileTree",
    "Listing",
    "Reader",
    "Storage",
    "all_readers",
    "read_dataset",
]


@cache
def all_readers() -> dict[str, Reader]:
    """Every reader by name: those of other packages, then the built-in ones.

    Raises:
        PluginError: one of another package cannot be used.
    """
    others = plugins("readers", tuple(READERS))
    return {name: plugin.found() for name, plugin in others.items()} | READERS


def read_dataset(tree: FileTree, card: DatasetCard) -> Listing:
    """List a dataset by the readers that its card names, or by the first that recognises it.

    A layout `coco+mask_pairs` is read by both: of each file the first word counts, and the second
    reader fills in what the first leaves open.

    Raises:
        RecipeError: the card names a layout that no reader knows, or an option that its readers
            do not.
    """
    readers = _readers_of(tree, card)
    listing = declared_sidecars(tree, card)
    for reader in readers:
        listing |= reader.read(tree, card)
    return listing | _held_by_split(tree, card, listing)


def _held_by_split(tree: FileTree, card: DatasetCard, listing: Listing) -> Listing:
    """List the images of which no reader says anything, where their split is known.

    A test split whose labels are not published is held out all the same.
    """
    silent = [
        path
        for path in tree.image_paths
        if not (path in listing.images or path in listing.sidecars or path in listing.faults)
    ]
    if not silent:
        return Listing()
    lists = read_split_lists(tree, card)
    splits = ((path, lists.split_of(path, card)) for path in silent)
    return Listing({path: record(path, card, split) for path, split in splits if split is not None})


def _readers_of(tree: FileTree, card: DatasetCard) -> list[Reader]:
    known_readers = all_readers()
    if card.layout == "auto":
        return list(islice((r for r in known_readers.values() if r.recognises(tree)), 1))
    names = card.layout.split("+")
    for name in names:
        if name not in known_readers:
            raise RecipeError(
                f"card {card.name!r}: unknown layout {name!r}{nearest_name(name, known_readers)}"
            )
    readers = [known_readers[name] for name in names]
    known = {*SHARED_OPTIONS, *(option for reader in readers for option in reader.options)}
    for option in card.options:
        if option not in known:
            raise RecipeError(
                f"card {card.name!r}: layout {card.layout} has no option {option!r}"
                f"{nearest_name(option, known)}"
            )
    return readers
