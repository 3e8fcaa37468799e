"""What a reader is: it knows a layout, never a dataset, and touches no pixel.

A reader says of a file tree which images carry which annotation, and which files are there only
to annotate (sidecars). An image file that no reader mentions is still an image, unannotated; any
other file is named in the ledger. So a new reader is one function, and cannot lose a file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rspipe.readers.tree import FileTree
from rspipe.schema import Annotation, DatasetCard, ImageRecord

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


class Reader(Protocol):
    """One layout."""

    name: str

    def recognises(self, tree: FileTree) -> bool:
        """Whether the tree looks like this layout (used where no card names one)."""

    def read(self, tree: FileTree, card: DatasetCard) -> Listing:
        """List the annotated images and the sidecars of a tree.

        Raises:
            ReaderError: the tree does not have the layout at all.
        """


def split_in_path(path: str, card: DatasetCard) -> str | None:
    """Find the split that a path's folders name: the card's own, or a usual word.

    >>> split_in_path("train_another/damage/1.jpg", DatasetCard(name="x"))
    'train_another'
    >>> split_in_path("Highway/train_1.jpg", DatasetCard(name="x")) is None
    True
    """
    declared = card.options.get("splits")
    for folder in path.split("/")[:-1]:
        if declared is not None:
            if folder in declared:
                return folder
        elif folder.lower().replace("-", "_").split("_")[0] in SPLIT_NAMES:
            return folder
    return None


def record(path: str, card: DatasetCard, split: str | None = None, **said: object) -> ImageRecord:
    """Build an image record; the split defaults to the one in the path."""
    return ImageRecord(
        source_path=path,
        split=split if split is not None else split_in_path(path, card),
        annotation=Annotation.model_validate(said),
    )
