# SPDX-License-Identifier: Apache-2.0
"""What a reader is: it knows a layout, never a dataset, and touches no pixel.

A reader says of a file tree which images carry which annotation, and which files are there only
to annotate (sidecars). An image file that no reader mentions is still an image, unannotated; any
other file is named in the ledger. So a new reader is one function, and cannot lose a file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rspipe.errors import RecipeError
from rspipe.io.containers import container_suffix
from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, Geography, ImageRecord

SHARED_OPTIONS = ("splits", "split_patterns", "sidecars")
"""Card options that every reader understands.

splits: folder names that are splits. split_patterns: split → regular expression that is searched
in the path; the first to match goes before the folders. sidecars: regular expression → what the
files are whose path it matches; they are no images of the dataset, whatever their names say.
"""
SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing", "trainval")


@dataclass(frozen=True)
class Listing:
    """What a reader found in a tree."""

    images: Mapping[str, ImageRecord] = field(default_factory=dict)
    """Annotated images, by path."""
    sidecars: Mapping[str, str] = field(default_factory=dict)
    """Files that are part of the dataset but are no image of it: path → what they are."""
    faults: Mapping[str, str] = field(default_factory=dict)
    """Annotation files that cannot be read: path → why."""

    def __or__(self, other: "Listing") -> "Listing":
        """Add what another reader says of the same tree: of each file, the first word counts.

        Where both list an image, the other's annotation fills what this one leaves open.
        """
        known = {*self.images, *self.sidecars, *self.faults}
        images = dict(self.images)
        for path, theirs in other.images.items():
            if path in images:
                images[path] = filled(images[path], theirs)
            elif path not in known:
                images[path] = theirs
        sidecars = {path: what for path, what in other.sidecars.items() if path not in known}
        faults = {path: why for path, why in other.faults.items() if path not in known}
        return Listing(images, {**self.sidecars, **sidecars}, {**self.faults, **faults})


def filled(ours: ImageRecord, theirs: ImageRecord) -> ImageRecord:
    """Fill what one record leaves open with what another says of the same image."""
    update = {
        name: getattr(theirs.annotation, name)
        for name in Annotation.model_fields
        if getattr(ours.annotation, name) is None
    }
    if ours.annotation.boxes is None:
        update["boxes_normalised"] = theirs.annotation.boxes_normalised
    place = {
        name: getattr(ours.geography, name)
        for name in Geography.model_fields
        if getattr(ours.geography, name) is not None
    }
    return ours.model_copy(
        update={
            "split": theirs.split if ours.split is None else ours.split,
            "annotation": ours.annotation.model_copy(update=update),
            "geography": theirs.geography.model_copy(update=place),
        }
    )


class Reader(Protocol):
    """One layout."""

    name: str
    options: tuple[str, ...]
    """Card options that it understands beside SHARED_OPTIONS."""

    def recognises(self, tree: FileTree) -> bool:
        """Whether the tree looks like this layout (used where no card names one)."""

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the annotated images and the sidecars of a tree.

        Raises:
            ReaderError: the tree does not have the layout at all.
        """


def declared_sidecars(tree: FileTree, card: DatasetCard) -> Listing:
    """List the files that the card's option `sidecars` takes out of the images."""
    rules = [(pattern(card, p), str(w)) for p, w in card.options.get("sidecars", {}).items()]
    if not rules:
        return Listing()
    said = ((path, next((w for p, w in rules if p.search(path)), None)) for path in tree.paths)
    return Listing(sidecars={path: what for path, what in said if what is not None})


def pattern(card: DatasetCard, text: str) -> re.Pattern[str]:
    """Compile a regular expression of a card.

    Raises:
        RecipeError: it is none.
    """
    try:
        return re.compile(text)
    except re.error as error:
        raise RecipeError(
            f"card {card.name!r}: {text!r} is no regular expression: {error}"
        ) from error


def split_in_path(path: str, card: DatasetCard) -> str | None:
    """Find the split of a path: by the card's patterns, else by its folders.

    Folders count where the card's option `splits` names them or, without it, where they begin with
    a usual word.

    >>> split_in_path("train_another/damage/1.jpg", DatasetCard(name="x"))
    'train_another'
    >>> split_in_path("Train.zip/images/1.png", DatasetCard(name="x"))
    'Train'
    >>> split_in_path("Highway/train_1.jpg", DatasetCard(name="x")) is None
    True
    """
    for split, text in card.options.get("split_patterns", {}).items():
        if pattern(card, text).search(path):
            return str(split)
    declared = card.options.get("splits")
    for folder in map(without_container, path.split("/")[:-1]):
        if declared is not None:
            if folder in declared:
                return folder
        elif folder.lower().replace("-", "_").split("_")[0] in SPLIT_NAMES:
            return folder
    return None


def without_container(folder: str) -> str:
    """Name of a folder, or of a container without its suffix: `Train.zip` is a folder `Train`."""
    suffix = container_suffix(folder) if "." in folder else None
    return folder if suffix is None else folder[: -len(suffix)]


def record(path: str, card: DatasetCard, split: str | None = None, **said: object) -> ImageRecord:
    """Build an image record; the split defaults to the one in the path."""
    return ImageRecord(
        source_path=path,
        split=split if split is not None else split_in_path(path, card),
        annotation=Annotation.model_validate(said),
    )
